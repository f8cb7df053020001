/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * replicache-admin: options, the table of verbs, and the only exit.
 */
#include "config.h"

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "db.h"
#include "error.h"
#include "log.h"
#include "schema.h"
#include "show.h"

/* Reaching a database by hand may take longer than a request may wait. */
#define CONNECT_MS 10000

/* How long a statement may take: an upgrade or a purge, hours. */
#define PATIENCE_MS (24L * 3600 * 1000)

struct verb {
	const char *name;
	const char *synopsis; /* of its arguments and own options */
	const char *help;
	int min, max;  /* arguments */
	bool anywhere; /* it needs no schema that this program knows */
	int (*run)(struct admin *admin, struct error *error);
};

static const struct verb verbs[] = {
    {"install", "",
	"install into the database, or bring its functions up to date", 0, 0,
	true, admin_install},
    {"upgrade", "", "bring an older schema up to this program's", 0, 0, true,
	admin_upgrade},
    {"grant", "ROLE", "let this role run replicache.fcgi, and do no more", 1, 1,
	false, admin_grant},
    {"status", "[--url URL]", "tell what there is, and how it fares", 0, 0,
	true, admin_status},
    {"check", "[--role ROLE] [--url URL [--token-file FILE]]",
	"look for faults in the database, the grants and the web server", 0, 0,
	false, admin_check},
    {"failed", "list", "list the mutations that failed", 1, 4, false,
	admin_failed},
    {"failed", "show CLIENT ID", "show one with its args", 0, 0, false, NULL},
    {"failed", "retry CLIENT ID | --all", "run one again, now", 0, 0, false,
	NULL},
    {"failed", "discard CLIENT ID | --all", "forget one", 0, 0, false, NULL},
    {"purge", "[--older-than AGE] [--clients AGE]",
	"drop what was deleted long ago, and clients long unseen", 0, 0, false,
	admin_purge},
    {"new-epoch", "", "after a restore: have every client start over", 0, 0,
	false, admin_new_epoch},
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void
print_help(void)
{
	puts("Usage: replicache-admin [OPTION]... VERB [ARGUMENT]...\n"
	     "\n"
	     "Installs, upgrades, examines and tends a database that "
	     "replicache.fcgi syncs.\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %s%s%s\n      %s\n", verbs[i].name,
		    verbs[i].synopsis[0] == '\0' ? "" : " ", verbs[i].synopsis,
		    verbs[i].help);
	puts(
	    "\n"
	    "  --config FILE        read the settings from FILE\n"
	    "  --database CONNINFO  the database, as libpq knows it; else that "
	    "of the settings\n"
	    "  --json               answer in JSON\n"
	    "  --yes                do not ask\n"
	    "  --all                all mutations that failed\n"
	    "  --older-than AGE     what was deleted so long ago, as in '30 "
	    "days' (the default)\n"
	    "  --clients AGE        clients not seen for so long, as in '1 "
	    "year' (none)\n"
	    "  --role ROLE          the role of replicache.fcgi (that of the "
	    "connection)\n"
	    "  --url URL            where the web server has replicache.fcgi, "
	    "as in\n"
	    "                       https://app.example/replicache\n"
	    "  --token-file FILE    the Authorization to send, for a user who "
	    "is let in\n"
	    "  --help               print this\n"
	    "  --version            print the version\n"
	    "\n"
	    "Exit codes: 0 done; 1 failed; 2 not understood; 3 faults were "
	    "found, or mutations\n"
	    "failed again; 4 not installed, or a schema of another number; 5 "
	    "not confirmed.");
}

/* Returns the exit status if the program is to end here, else -1. */
static int
read_options(int argc, char **argv, struct admin *admin)
{
	enum {
		CONFIG,
		DATABASE,
		ROLE,
		OLDER_THAN,
		CLIENTS,
		URL,
		TOKEN_FILE,
		STRINGS,
		JSON = STRINGS,
		YES,
		ALL,
		HELP,
		SHOW_VERSION
	};
	static const struct option known[] = {
	    {"config", required_argument, NULL, CONFIG},
	    {"database", required_argument, NULL, DATABASE},
	    {"role", required_argument, NULL, ROLE},
	    {"older-than", required_argument, NULL, OLDER_THAN},
	    {"clients", required_argument, NULL, CLIENTS},
	    {"url", required_argument, NULL, URL},
	    {"token-file", required_argument, NULL, TOKEN_FILE},
	    {"json", no_argument, NULL, JSON}, {"yes", no_argument, NULL, YES},
	    {"all", no_argument, NULL, ALL}, {"help", no_argument, NULL, HELP},
	    {"version", no_argument, NULL, SHOW_VERSION}, {NULL, 0, NULL, 0}};
	const char **strings[STRINGS] = {&admin->config, &admin->database,
	    &admin->role, &admin->older_than, &admin->clients, &admin->url,
	    &admin->token_file};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case JSON:
			admin->json = true;
			break;
		case YES:
			admin->yes = true;
			break;
		case ALL:
			admin->all = true;
			break;
		case HELP:
			print_help();
			return ADMIN_DONE;
		case SHOW_VERSION:
			puts("replicache-admin (" PACKAGE_STRING ")");
			return ADMIN_DONE;
		default:
			if (option < 0 || option >= STRINGS) {
				fputs("Try --help.\n", stderr);
				return ADMIN_USAGE;
			}
			*strings[option] = optarg;
		}
	}
	admin->arguments = argv + optind;
	admin->argument_count = argc - optind;
	return -1;
}

/* Says that NAME is no verb, or that VERB, which it is, is not used so. */
static void
complain(const char *name, const struct verb *verb)
{
	char text[256];

	if (verb != NULL)
		snprintf(text, sizeof(text),
		    "%s takes %s; see its line in --help", name,
		    verb->max == 0 ? "no argument" : "other arguments");
	else if (name[0] != '\0')
		snprintf(text, sizeof(text),
		    "there is no verb '%.80s'; --help lists them", name);
	else
		snprintf(text, sizeof(text), "a verb is needed. Try --help.");
	show_error(text);
}

/* Takes the verb off the arguments; NULL, having said why, if there is none. */
static const struct verb *
find_verb(struct admin *admin)
{
	const char *name =
	    admin->argument_count == 0 ? "" : admin->arguments[0];

	for (size_t i = 0; i < VERBS; i++) {
		const struct verb *verb = &verbs[i];
		int n = admin->argument_count - 1;

		if (verb->run == NULL || strcmp(verb->name, name) != 0)
			continue;
		if (n < verb->min || n > verb->max) {
			complain(name, verb);
			return NULL;
		}
		admin->arguments++;
		admin->argument_count = n;
		return verb;
	}
	complain(name, NULL);
	return NULL;
}

static int
connect_database(struct admin *admin, struct error *error)
{
	const char *database = admin->database != NULL
				   ? admin->database
				   : admin->settings.database;

	admin->settings.connect_timeout = CONNECT_MS;
	admin->db = db_open_at(&admin->settings, database, error);
	if (admin->db == NULL)
		return -1;
	db_set_patience(admin->db, PATIENCE_MS);
	return 0;
}

/* Whether the schema is one that this program knows; else says why not. */
static int
check_schema(struct admin *admin, struct error *error)
{
	struct admin_schema schema;

	if (admin_look(admin, &schema, error) < 0)
		return -1;
	if (!schema.installed)
		fputs("replicache-admin: replicache is not installed here: "
		      "replicache-admin install\n",
		    stderr);
	else if (schema.number != SCHEMA_NUMBER)
		fprintf(stderr,
		    "replicache-admin: the database has schema %d, this "
		    "program knows %d: %s\n",
		    schema.number, SCHEMA_NUMBER,
		    schema.number < SCHEMA_NUMBER
			? "replicache-admin upgrade"
			: "it belongs to a newer replicache-admin");
	else
		return ADMIN_DONE;
	return ADMIN_SCHEMA;
}

static int
run(struct admin *admin, const struct verb *verb, struct error *error)
{
	int rc;

	/* The file may be for the program alone, as it has its password. */
	if (settings_read(&admin->settings, admin->config,
		admin->database != NULL, error) < 0 ||
	    connect_database(admin, error) < 0)
		return -1;
	if (!verb->anywhere) {
		rc = check_schema(admin, error);
		if (rc != ADMIN_DONE)
			return rc;
	}
	return verb->run(admin, error);
}

int
main(int argc, char **argv)
{
	struct admin admin = {.json = false};
	struct error error = {0};
	const struct verb *verb;
	int status;

	/* What the terminal knows; all else is C's. */
	setlocale(LC_CTYPE, "");
	log_open();
	signal(SIGPIPE, SIG_IGN);
	status = read_options(argc, argv, &admin);
	if (status >= 0)
		return status;
	verb = find_verb(&admin);
	if (verb == NULL)
		return ADMIN_USAGE;
	log_set_level(LOG_LEVEL_WARNING);
	status = run(&admin, verb, &error);
	if (status < 0) {
		show_error(error.message);
		status = ADMIN_FAILED;
	}
	db_close(admin.db);
	settings_fini(&admin.settings);
	return status;
}
