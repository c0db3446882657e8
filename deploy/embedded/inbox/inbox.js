// Says when there is more to read, and brings the chosen SMS into view. The page works without it.
"use strict";

const { newest, ask } = document.body.dataset;
const more = document.getElementById("more");

async function look() {
  try {
    const answer = await fetch(ask);
    if (answer.ok && (await answer.json()).newest > Number(newest)) {
      more.hidden = false;
      return;
    }
  } catch {
    // The server is restarting; it is asked again.
  }
  setTimeout(look, document.hidden ? 15000 : 3000);
}

setTimeout(look, 3000);
document.querySelector(".bubble.chosen")?.scrollIntoView({ block: "center" });
document.querySelector(".item[aria-current]")?.scrollIntoView({ block: "nearest" });
