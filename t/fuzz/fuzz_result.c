/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: results as Postgres may send them, made from any bytes: rows
 * that become operations of a patch, registrations, and what goes the other
 * way, arrays in the form that Postgres reads. What is written is read again
 * here, and must mean the same.
 *
 * Input: a byte that chooses, then what each of them tells. Linked with
 * --wrap=db_..., so that there is no connection.
 */
#include "config.h"

#include "fuzz.h"

#include <libpq-fe.h>

#include "arena.h"
#include "buffer.h"
#include "db.h"
#include "error.h"
#include "log.h"
#include "patch.h"
#include "pgarray.h"
#include "registry.h"
#include "scan.h"
#include "schema.h"
#include "utf8.h"

const struct fuzz_target fuzz_target = FUZZ_TARGET("fuzz/result",
    "\0\1\2\3\4\5\6\7\x0a\x10\x1f\x7f\x80\xc3\xed\xff\"\\{}[],:/tfn019");

#define COLUMNS_MAX 12
#define ROWS_MAX 20
#define OUT_MAX ((size_t)1 << 22)

/* The types that columns have, by their OIDs: boolean, bigint, smallint,
 * integer, json, jsonb, text, numeric, uuid, timestamptz. */
static const Oid types[] = {16, 20, 21, 23, 114, 3802, 25, 1700, 2950, 1184};
#define TYPES (sizeof(types) / sizeof(types[0]))

/* Text as Postgres can have it: UTF-8, without NUL. What is not becomes `?`. */
static char *
take_string(struct fuzz_input *input)
{
	char *text = fuzz_text(input, 0x0a), *at = text;
	const char *end = text + strlen(text);

	while (at < end) {
		size_t n =
		    (unsigned char)*at < 0x80 ? 1 : utf8_sequence(at, end);

		if (n == 0)
			*at = '?';
		at += n == 0 ? 1 : n;
	}
	return text;
}

static bool
is_document(const char *text)
{
	struct error error;
	unsigned flags;

	return scan_document(
		   text, strlen(text), SCAN_TOKENS_MAX, &flags, &error) == 0 &&
	       flags == 0;
}

/* A value as a column of TYPE prints it. */
static char *
take_value(struct fuzz_input *input, Oid type)
{
	char *text = take_string(input), number[32];

	switch (type) {
	case 16:
		strcpy(number, (text[0] & 1) != 0 ? "t" : "f");
		break;
	case 20:
	case 21:
	case 23:
		snprintf(number, sizeof(number), "%lld",
		    (long long)strtoll(text, NULL, 36));
		break;
	case 114:
	case 3802:
		if (is_document(text))
			return text;
		strcpy(number, "[null]");
		break;
	default:
		return text;
	}
	free(text);
	return fuzz_copy(number, strlen(number));
}

/* A result with these columns and no rows. */
static PGresult *
make_result(int columns, char *const *names, const Oid *oids)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc attributes[COLUMNS_MAX];

	fuzz_check(result != NULL && columns <= COLUMNS_MAX);
	memset(attributes, 0, sizeof(attributes));
	for (int i = 0; i < columns; i++) {
		attributes[i].name = names[i];
		attributes[i].typid = oids[i];
		attributes[i].typlen = -1;
		attributes[i].atttypmod = -1;
	}
	fuzz_check(PQsetResultAttrs(result, columns, attributes));
	return result;
}

static void
set_value(PGresult *result, int row, int column, char *value)
{
	fuzz_check(PQsetvalue(result, row, column, value,
	    value == NULL ? -1 : (int)strlen(value)));
}

/* VALUE, a JSON string, means TEXT. */
static void
check_string(const struct scan_value *value, const char *text)
{
	fuzz_check(value->kind == SCAN_STRING);
	fuzz_check(scan_equals(value, text));
}

/* VALUE is what the field is. */
static void
check_field(
    const struct scan_value *value, const PGresult *rows, int row, int column)
{
	const char *text = PQgetvalue(rows, row, column);

	if (PQgetisnull(rows, row, column)) {
		fuzz_check(value->kind == SCAN_NULL);
		return;
	}
	switch (PQftype(rows, column)) {
	case 16:
		fuzz_check(
		    value->kind == (text[0] == 't' ? SCAN_TRUE : SCAN_FALSE));
		return;
	case 20:
	case 21:
	case 23:
		fuzz_check(value->kind == SCAN_INTEGER);
		fuzz_check(
		    strtoll(value->text, NULL, 10) == strtoll(text, NULL, 10));
		return;
	case 114:
	case 3802:
		/* As it was, but for white space around it. */
		text += strspn(text, " \t\r\n");
		fuzz_check(strncmp(text, value->text, value->length) == 0);
		text += value->length;
		fuzz_check(text[strspn(text, " \t\r\n")] == '\0');
		return;
	default:
		check_string(value, text);
	}
}

/* The operation of ROW is what the row says. */
static void
check_operation(
    const struct scan_value *operation, const PGresult *rows, int row)
{
	static const char *const names[] = {"op", "key", "value"};
	struct scan_value fields[3], name, value;
	struct scan_cursor cursor;
	struct error error;
	bool gone = PQgetvalue(rows, row, 1)[0] == 't';
	int column = 2;

	fuzz_check(scan_fields(operation, names, 3, fields, &error) == 0);
	check_string(&fields[0], gone ? "del" : "put");
	check_string(&fields[1], PQgetvalue(rows, row, 0));
	fuzz_check(fields[2].kind == (gone ? SCAN_NONE : SCAN_OBJECT));
	if (gone)
		return;
	scan_open(&cursor, &fields[2]);
	for (; scan_member(&cursor, &name, &value); column++) {
		fuzz_check(column < PQnfields(rows));
		check_string(&name, PQfname(rows, column));
		check_field(&value, rows, row, column);
	}
	fuzz_check(column == PQnfields(rows));
}

/* The patch of ROWS, in an array. */
static void
check_patch(const PGresult *rows)
{
	struct scan_value root, operation;
	struct scan_cursor cursor;
	struct arena arena;
	struct buffer out;
	struct patch patch;
	struct error error;
	unsigned flags;
	int row = 0;

	buffer_init(&out, OUT_MAX);
	buffer_append_byte(&out, '[');
	patch_init(&patch, &out);
	arena_init(&arena, OUT_MAX);
	fuzz_check(
	    patch_columns(&patch, (const struct db_result *)rows, &arena) == 0);
	for (int i = 0; i < PQntuples(rows); i++)
		patch_row(&patch, (const struct db_result *)rows, i);
	arena_fini(&arena);
	buffer_append_byte(&out, ']');
	fuzz_check(out.failure == BUFFER_GOOD);
	fuzz_check(scan_document(out.data, out.length, SCAN_TOKENS_MAX, &flags,
		       &error) == 0);
	fuzz_check(flags == 0);
	scan_root(out.data, out.length, &root);
	scan_open(&cursor, &root);
	while (scan_element(&cursor, &operation))
		check_operation(&operation, rows, row++);
	fuzz_check(row == PQntuples(rows));
	buffer_fini(&out);
}

/* Rows of a registered table. */
static void
try_rows(struct fuzz_input *input)
{
	Oid oids[COLUMNS_MAX] = {25, 16};
	char *names[COLUMNS_MAX], *value;
	int columns = 2 + fuzz_byte(input) % (COLUMNS_MAX - 2), row;
	PGresult *rows;

	for (int i = 0; i < columns; i++) {
		if (i >= 2)
			oids[i] = types[fuzz_byte(input) % TYPES];
		names[i] = take_string(input);
	}
	rows = make_result(columns, names, oids);
	for (row = 0; row < ROWS_MAX && input->at < input->end; row++)
		for (int i = 0; i < columns; i++) {
			bool null = i >= 2 && fuzz_byte(input) % 8 == 0;

			value = null ? NULL : take_value(input, oids[i]);
			set_value(rows, row, i, value);
			free(value);
		}
	check_patch(rows);
	for (int i = 0; i < columns; i++)
		free(names[i]);
	PQclear(rows);
}

/* What the database is made to answer to a load of what is registered. */
static PGresult *answers[5];
static size_t next_answer;

int __wrap_db_send_id(struct db *db, enum statement_id id, int n,
    const char *const *params, struct error *error);
int __wrap_db_sync(struct db *db, struct error *error);
int __wrap_db_take(
    struct db *db, struct db_result **result_out, struct error *error);
int __wrap_db_finish(struct db *db, struct error *error);

int
__wrap_db_send_id(struct db *db, enum statement_id id, int n,
    const char *const *params, struct error *error)
{
	(void)db;
	(void)id;
	(void)n;
	(void)params;
	(void)error;
	return 0;
}

int
__wrap_db_sync(struct db *db, struct error *error)
{
	(void)db;
	(void)error;
	return 0;
}

int
__wrap_db_take(
    struct db *db, struct db_result **result_out, struct error *error)
{
	PGresult *answer = answers[next_answer];

	(void)db;
	(void)error;
	answers[next_answer++] = NULL;
	if (result_out == NULL)
		PQclear(answer);
	else
		*result_out = (struct db_result *)answer;
	return 0;
}

int
__wrap_db_finish(struct db *db, struct error *error)
{
	(void)db;
	(void)error;
	return 0;
}

/* Texts in COLUMNS columns, as many rows as INPUT says. The first column is a
 * key, so no two are the same. */
static PGresult *
make_texts(struct fuzz_input *input, int columns)
{
	static char name[] = "?column?";
	char *names[] = {name, name, name, name, name};
	const Oid oids[] = {25, 25, 25, 25, 25};
	PGresult *rows = make_result(columns, names, oids);
	int count = fuzz_byte(input) % 8;

	for (int row = 0; row < count; row++) {
		char *key = take_string(input), *whole;

		fuzz_check(asprintf(&whole, "%d%s", row, key) >= 0);
		set_value(rows, row, 0, whole);
		free(whole);
		free(key);
		for (int i = 1; i < columns; i++) {
			char *value = take_string(input);

			set_value(rows, row, i, value);
			free(value);
		}
	}
	return rows;
}

/* The one row of replicache_state; its fourth column is the revision, its fifth
 * the number of the schema. */
static PGresult *
make_state(int64_t revision, int number)
{
	static char zero[] = "0", name[] = "n";
	char text[32], *names[] = {name, name, name, name, name};
	const Oid oids[] = {20, 20, 20, 20, 20};
	PGresult *state = make_result(5, names, oids);

	for (int i = 0; i < 5; i++)
		set_value(state, 0, i, zero);
	snprintf(text, sizeof(text), "%lld", (long long)revision);
	set_value(state, 0, 3, text);
	snprintf(text, sizeof(text), "%d", number);
	set_value(state, 0, 4, text);
	return state;
}

static void
check_statement(const struct statement *statement, const PGresult *rows,
    int row, int column)
{
	fuzz_check(strcmp(statement->sql, PQgetvalue(rows, row, column)) == 0);
	fuzz_check(strncmp(statement->name, "registered_", 11) == 0);
	fuzz_check(strtoul(statement->name + 11, NULL, 10) == statement->index);
	fuzz_check(statement->index >= STATEMENT_MAX);
}

/* REGISTRATION says what was read; its statements have names of their own. */
static void
check_schema(const struct registration *registration, const char *version,
    bool pushes, bool pulls)
{
	struct error error;

	fuzz_check((registration_check_push_schema(
			registration, version, &error) == 0) == pushes);
	fuzz_check((registration_check_pull_schema(
			registration, version, &error) == 0) == pulls);
}

static void
check_registration(const struct registration *registration,
    const PGresult *tables, const PGresult *mutators, const PGresult *versions)
{
	bool per_user = false;
	size_t last = 0;

	fuzz_check(registration->table_count == (size_t)PQntuples(tables));
	for (int i = 0; i < PQntuples(tables); i++) {
		const struct registered_table *table = &registration->tables[i];

		fuzz_check(
		    strcmp(table->prefix, PQgetvalue(tables, i, 0)) == 0);
		check_statement(&table->pull_all, tables, i, 1);
		check_statement(&table->pull_since, tables, i, 2);
		fuzz_check(table->pull_all.index > last);
		fuzz_check(table->pull_since.index > table->pull_all.index);
		last = table->pull_since.index;
		fuzz_check(
		    table->per_user == (PQgetvalue(tables, i, 3)[0] == 't'));
		per_user = per_user || table->per_user;
	}
	fuzz_check(registration->per_user == per_user);
	for (int i = 0; i < PQntuples(mutators); i++) {
		const struct registered_mutator *mutator = registration_mutator(
		    registration, PQgetvalue(mutators, i, 0));

		fuzz_check(mutator != NULL);
		check_statement(&mutator->call, mutators, i, 1);
		fuzz_check(mutator->call.index > last);
		last = mutator->call.index;
		fuzz_check(
		    mutator->shared == (PQgetvalue(mutators, i, 2)[0] == 't'));
		fuzz_check(
		    mutator->closes == (PQgetvalue(mutators, i, 3)[0] == 't'));
	}
	fuzz_check(registration_mutator(registration, "no such") == NULL);
	for (int i = 0; i < PQntuples(versions); i++)
		check_schema(registration, PQgetvalue(versions, i, 0),
		    PQgetvalue(versions, i, 1)[0] == 't',
		    PQgetvalue(versions, i, 2)[0] == 't');
	check_schema(registration, "no such", PQntuples(versions) == 0,
	    PQntuples(versions) == 0);
}

static void
try_registration(struct fuzz_input *input)
{
	bool other = fuzz_byte(input) == 0;
	PGresult *tables = make_texts(input, 4);
	PGresult *mutators = make_texts(input, 4);
	PGresult *versions = make_texts(input, 3);
	struct registry *registry = registry_new(NULL);
	const struct registration *registration;
	struct error error;

	fuzz_check(registry != NULL);
	next_answer = 0;
	answers[1] = make_state(7, other ? SCHEMA_NUMBER + 1 : SCHEMA_NUMBER);
	answers[2] = PQcopyResult(tables, PG_COPYRES_TUPLES);
	answers[3] = PQcopyResult(mutators, PG_COPYRES_TUPLES);
	answers[4] = PQcopyResult(versions, PG_COPYRES_TUPLES);
	registration = registry_get(registry, NULL, 7, &error);
	fuzz_check((registration == NULL) == other);
	if (registration != NULL) {
		fuzz_check(registration->revision == 7);
		check_registration(registration, tables, mutators, versions);
	}
	registry_put(registry, registration);
	registry_free(registry);
	PQclear(tables);
	PQclear(mutators);
	PQclear(versions);
}

/* Reads an element of an array literal as the PostgreSQL manual tells, 8.15.6,
 * and gives what is behind it. */
static const char *
read_element(const char *at, char *out)
{
	bool quoted = *at == '"';

	at += quoted;
	while (quoted ? *at != '"' : *at != ',' && *at != '}') {
		at += *at == '\\';
		fuzz_check(*at != '\0');
		*out++ = *at++;
	}
	*out = '\0';
	return at + quoted;
}

/* What goes to Postgres as an array. */
static void
try_array(struct fuzz_input *input)
{
	char *elements[ROWS_MAX], *out;
	struct pgarray array;
	struct arena arena;
	const char *literal, *at;
	size_t count = 0;

	arena_init(&arena, OUT_MAX);
	pgarray_init(&array);
	for (; count < ROWS_MAX && input->at < input->end; count++) {
		elements[count] = take_string(input);
		if (fuzz_byte(input) % 4 == 0) {
			int64_t number = strtoll(elements[count], NULL, 36);

			free(elements[count]);
			fuzz_check(asprintf(&elements[count], "%lld",
				       (long long)number) > 0);
			pgarray_add_int64(&array, number);
		} else {
			pgarray_add_text(&array, elements[count]);
		}
	}
	literal = pgarray_end(&array, &arena);
	fuzz_check(literal != NULL && literal[0] == '{');
	out = fuzz_copy(literal, strlen(literal));
	at = literal + 1;
	for (size_t i = 0; i < count; i++) {
		fuzz_check(i == 0 || *at++ == ',');
		at = read_element(at, out);
		fuzz_check(strcmp(out, elements[i]) == 0);
		free(elements[i]);
	}
	fuzz_check(strcmp(at, "}") == 0);
	free(out);
	pgarray_fini(&array);
	arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};

	log_set_level(LOG_LEVEL_ERROR);
	switch (fuzz_byte(&input) % 3) {
	case 0:
		try_rows(&input);
		break;
	case 1:
		try_registration(&input);
		break;
	default:
		try_array(&input);
	}
	return 0;
}
