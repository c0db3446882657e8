#!/bin/sh
# Makes or updates the tables of Temporal's own two databases, before its server starts. Safe to repeat.
# Runs in Temporal's admin-tools image; SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD name the PostgreSQL.
set -eu

prepare() {
  database=$1 kind=$2
  temporal-sql-tool --db "$database" create-database
  temporal-sql-tool --db "$database" setup-schema --version 0.0
  temporal-sql-tool --db "$database" update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$kind/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility
