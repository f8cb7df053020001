/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * replicache.fcgi: options, start order, and the only exit.
 */
#include "config.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "allowance.h"
#include "app.h"
#include "auth.h"
#include "batch.h"
#include "error.h"
#include "fastcgi.h"
#include "faults.h"
#include "log.h"
#include "oneshot.h"
#include "pool.h"
#include "pull.h"
#include "registry.h"
#include "server.h"
#include "settings.h"
#include "share.h"
#include "socket.h"

static void
print_help(FILE *out)
{
	fputs("Usage: replicache.fcgi [--config FILE] [--listen PATH]\n"
	      "       replicache.fcgi [--config FILE] --check-config | "
	      "--dump-config\n"
	      "       replicache.fcgi --example-config | --help | --version\n"
	      "\n"
	      "A Replicache server: push and pull over FastCGI, beside "
	      "Postgres.\n"
	      "Listens on standard input when that is a socket, as spawn-fcgi "
	      "and systemd\n"
	      "start it; runs as a CGI program when the web server does.\n"
	      "\n"
	      "  --config FILE     read the settings from FILE\n"
	      "  --listen PATH     listen on a Unix socket at PATH, mode 0660\n"
	      "  --check-config    check the settings, and exit 0 if they are "
	      "good\n"
	      "  --dump-config     print the settings in force, and where each "
	      "comes from\n"
	      "  --example-config  print a file of all settings, commented "
	      "out\n"
	      "  --help            print this\n"
	      "  --version         print the version\n"
	      "\n"
	      "Settings, by environment variable and by key in the file "
	      "(default in\n"
	      "parentheses). The environment wins over the file, which is "
	      "named by --config,\n"
	      "else by REPLICACHE_CONFIG, else is replicache.conf in the "
	      "program's own folder,\n"
	      "else " SYSCONFDIR "/replicache.conf.\n"
	      "\n",
	    out);
	settings_help(out);
	fputs("\nlibpq's own PG* variables are honoured, except as a CGI "
	      "program.\n",
	    out);
}

struct options {
	const char *config;
	const char *listen;
	/* Instead of serving; gives the exit status. */
	int (*action)(const struct settings *, struct error *);
};

static int
check_config(const struct settings *settings, struct error *error)
{
	struct auth *auth = auth_new(settings, error);

	if (auth == NULL)
		return EXIT_FAILURE;
	auth_free(auth);
	settings_warn_unknown();
	printf("the settings are good (%s)\n",
	    settings->file != NULL ? settings->file : "no file");
	return EXIT_SUCCESS;
}

static int
dump_config(const struct settings *settings, struct error *error)
{
	(void)error;
	settings_dump(settings, stdout);
	return EXIT_SUCCESS;
}

/* Returns the exit status if the program is to end here, else -1. */
static int
read_options(int argc, char **argv, struct options *options)
{
	enum {
		CONFIG,
		LISTEN,
		CHECK,
		DUMP,
		EXAMPLE,
		HELP,
		SHOW_VERSION
	};
	static const struct option known[] = {
	    {"config", required_argument, NULL, CONFIG},
	    {"listen", required_argument, NULL, LISTEN},
	    {"check-config", no_argument, NULL, CHECK},
	    {"dump-config", no_argument, NULL, DUMP},
	    {"example-config", no_argument, NULL, EXAMPLE},
	    {"help", no_argument, NULL, HELP},
	    {"version", no_argument, NULL, SHOW_VERSION}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case CONFIG:
			options->config = optarg;
			break;
		case LISTEN:
			options->listen = optarg;
			break;
		case CHECK:
			options->action = check_config;
			break;
		case DUMP:
			options->action = dump_config;
			break;
		case EXAMPLE:
			settings_sample(stdout);
			return EXIT_SUCCESS;
		case HELP:
			print_help(stdout);
			return EXIT_SUCCESS;
		case SHOW_VERSION:
			puts(PACKAGE_STRING);
			return EXIT_SUCCESS;
		default:
			fputs("Try --help.\n", stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind < argc) {
		fputs("replicache.fcgi: takes no arguments. Try --help.\n",
		    stderr);
		return EXIT_FAILURE;
	}
	return -1;
}

/* The socket to listen on: the one named, or one it was started with. */
static int
find_listener(const struct options *options, struct error *error)
{
	int fd;

	if (options->listen != NULL)
		return socket_bind(options->listen, error);
	if ((fd = socket_inherited()) >= 0)
		return fd;
	return error_set(error, ERROR_CONFIG,
	    "nothing to listen on: start it by spawn-fcgi, systemd or a web "
	    "server, or with --listen PATH");
}

/* mod_fcgid tells its programs apart from others by nothing but where their
 * socket lies. */
static int
choose_poke(const struct settings *settings, int fd)
{
	if (settings->poke != POKE_AUTO)
		return settings->poke;
	return socket_is_fcgid(fd) ? POKE_ANSWER : POKE_STREAM;
}

/* Makes what requests share, serves, and takes it down again. */
static int
serve(struct settings *settings, const struct options *options, bool oneshot,
    struct error *error)
{
	struct app app = {
	    .settings = settings, .reloaded = settings, .poke = POKE_ANSWER};
	int fd, rc = -1;

	app.auth = auth_new(settings, error);
	if (app.auth == NULL)
		return -1;
	app.allowance = allowance_new();
	app.pool = pool_new(settings);
	app.registry = app.pool == NULL ? NULL : registry_new(app.pool);
	app.batch = app.registry == NULL
			? NULL
			: batch_new(settings, app.pool, app.registry,
			      server_relieve, &app);
	app.share = share_new();
	gather_init(&app.pulls, pull_look, &app);
	if (app.batch == NULL || app.share == NULL || app.allowance == NULL) {
		error_set(error, ERROR_CONFIG, "out of memory");
	} else if (oneshot) {
		oneshot_run(&app);
		rc = 0;
	} else if ((fd = find_listener(options, error)) >= 0) {
		app.poke = choose_poke(settings, fd);
		rc = fastcgi_init() < 0 ? error_set(error, ERROR_CONFIG,
					      "libfcgi does not start")
					: server_run(&app, fd, error);
		if (options->listen != NULL)
			unlink(options->listen);
	}
	gather_fini(&app.pulls);
	share_free(app.share);
	batch_free(app.batch);
	registry_free(app.registry);
	pool_free(app.pool);
	allowance_free(app.allowance);
	auth_free(app.auth);
	return rc;
}

/* One that comes before the program serves waits, and does not end it. */
static void
hold_hup(void)
{
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, NULL);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

/* Passwords and tokens are in memory: no core dump, and no other process of
 * this user may look into it. (A sanitizer that looks for leaks is such a
 * process.) */
static void
keep_memory_private(void)
{
#if defined(PR_SET_DUMPABLE) && !SANITIZED
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

int
main(int argc, char **argv)
{
	struct options options = {0};
	struct settings settings;
	struct error error = {0};
	bool oneshot = oneshot_wanted() && !socket_listens(STDIN_FILENO);
	int status = -1;

	FAULTS_ARM();
	log_open();
	signal(SIGPIPE, SIG_IGN);
	/* Threads share two heaps: with one each, what a burst of requests
	 * leaves behind would be many times what any of them needs. */
	mallopt(M_ARENA_MAX, 2);
	/* As a CGI program its arguments are the client's query string. */
	if (oneshot) {
		oneshot_clean_environment();
	} else {
		hold_hup();
		status = read_options(argc, argv, &options);
	}
	if (status >= 0)
		return status;
	if (settings_init(&settings, options.config, &error) < 0) {
		status = EXIT_FAILURE;
	} else {
		log_set_level((enum log_level)settings.log_level);
		log_set_format((enum log_format)settings.log_format);
		keep_memory_private();
		if (options.action != NULL)
			status = options.action(&settings, &error);
		else
			status = serve(&settings, &options, oneshot, &error) < 0
				     ? EXIT_FAILURE
				     : EXIT_SUCCESS;
	}
	if (status != EXIT_SUCCESS)
		log_error("%s", error.message);
	settings_fini(&settings);
	return status;
}
