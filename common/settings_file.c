/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The settings file, read by libconfuse: `name = value`, one a line, and
 * comments from # to the end of the line.
 *
 * It is given to libconfuse line by line, because libconfuse 3.3 counts the
 * lines of comments twice, and an error must name the right line.
 */
#include "config.h"

#include "settings_table.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "settings.h"

struct file {
	struct settings *settings;
	const char *path;
	FILE *in;
	cfg_opt_t *options; /* a row each, and the end */
	long line;
	bool shown; /* others can read it */
};

/* What libconfuse says of the line at hand. Its callback has no context; only
 * the main thread reads settings. */
static char complaint[ERROR_MESSAGE_MAX];

static void take_complaint(cfg_t *cfg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
take_complaint(cfg_t *cfg, const char *format, va_list args)
{
	(void)cfg;
	if (vsnprintf(complaint, sizeof(complaint), format, args) < 0)
		complaint[0] = '\0';
}

static int
refuse(const struct file *file, const char *what, struct error *error)
{
	return error_set(
	    error, ERROR_CONFIG, "%s:%ld: %s", file->path, file->line, what);
}

/* Whether the complaint may be handed on: what it quotes of LINE is what that
 * begins with, or a sign. Anything else may be the end of a password that a
 * quote has cut in two. */
static bool
may_be_told(const char *line)
{
	const char *quoted = strchr(complaint, '\'');
	const char *end = strrchr(complaint, '\'');
	size_t length;

	if (quoted == NULL)
		return true;
	quoted++;
	length = end < quoted ? 0 : (size_t)(end - quoted);
	if (length == 1 && ispunct((unsigned char)quoted[0]))
		return true;
	line += strspn(line, " \t");
	return length > 0 && strncmp(line, quoted, length) == 0;
}

static int
refuse_syntax(const struct file *file, const char *line, struct error *error)
{
	static const char unknown[] = "no such option ";

	if (strncmp(complaint, "premature", 9) == 0)
		return refuse(file, "the line ends too early", error);
	if (!may_be_told(line))
		return refuse(file,
		    "what follows the name is not one value (with spaces, #, "
		    "quotes or \\ in it, it needs quotes, and a \\ before its "
		    "own quotes and \\)",
		    error);
	if (strncmp(complaint, unknown, sizeof(unknown) - 1) == 0)
		return error_set(error, ERROR_CONFIG,
		    "%s:%ld: no such setting: %s", file->path, file->line,
		    complaint + sizeof(unknown) - 1);
	if (strncmp(complaint, "unexpected", 10) == 0)
		return error_set(error, ERROR_CONFIG,
		    "%s:%ld: %s (a value with such signs or spaces needs "
		    "quotes)",
		    file->path, file->line, complaint);
	return refuse(
	    file, complaint[0] != '\0' ? complaint : "not understood", error);
}

/* Takes over one value that the line has. */
static int
take(struct file *file, const struct setting *setting, long *line,
    const char *value, struct error *error)
{
	struct error why;
	bool secret;

	if (*line > 0)
		return error_set(error, ERROR_CONFIG,
		    "%s:%ld: %s: is set in line %ld already", file->path,
		    file->line, setting->name, *line);
	if (settings_set(file->settings, setting, value, &secret, &why) < 0)
		return error_set(error, ERROR_CONFIG, "%s:%ld: %s: %s",
		    file->path, file->line, setting->name, why.message);
	if (secret && file->shown)
		return error_set(error, ERROR_CONFIG,
		    "%s:%ld: %s: has a secret in it, but others can read this "
		    "file: chmod o-rwx",
		    file->path, file->line, setting->name);
	*line = file->line;
	return 0;
}

static int
take_all(struct file *file, cfg_t *cfg, struct error *error)
{
	size_t count;
	const struct setting *table = settings_table(&count);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		const char *value = cfg_getstr(cfg, table[i].name);

		if (value != NULL)
			rc = take(file, &table[i], &file->settings->lines[i],
			    value, error);
	}
	return rc;
}

static int
read_line(struct file *file, const char *line, struct error *error)
{
	cfg_t *cfg = cfg_init(file->options, CFGF_NONE);
	int rc;

	if (cfg == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	cfg_set_error_function(cfg, take_complaint);
	complaint[0] = '\0';
	if (cfg_parse_buf(cfg, line) != CFG_SUCCESS)
		rc = refuse_syntax(file, line, error);
	else
		rc = take_all(file, cfg, error);
	cfg_free(cfg);
	return rc;
}

/* Lines that libconfuse would not take as a person does. */
static int
judge_line(const struct file *file, const char *line, size_t length,
    struct error *error)
{
	const char *start = line + strspn(line, " \t");

	if (strlen(line) != length)
		return refuse(file, "a NUL byte", error);
	if (start[0] == '/')
		return refuse(file, "a comment begins with #", error);
	return 0;
}

/* Ends the last line of a file by a newline too: a backslash that is the last
 * of all libconfuse writes to the standard output, which is a CGI program's
 * answer. */
static int
end_line(char **line, size_t length, struct error *error)
{
	char *longer = realloc(*line, length + 2);

	if (longer == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	memcpy(longer + length, "\n", 2);
	*line = longer;
	return 0;
}

static int
read_lines(struct file *file, struct error *error)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = getline(&line, &size, file->in)) > 0) {
		file->line++;
		rc = judge_line(file, line, (size_t)n, error);
		if (rc == 0 && line[n - 1] != '\n')
			rc = end_line(&line, (size_t)n, error);
		if (rc == 0)
			rc = read_line(file, line, error);
	}
	/* Without memory for a line getline() ends, too, and the stream has no
	 * error. */
	if (rc == 0 && !feof(file->in))
		rc = error_set(error, ERROR_CONFIG, "%s: can't be read: %s",
		    file->path, strerror(errno));
	free(line);
	return rc;
}

/* To libconfuse all values are strings: their types are settings_set()'s. */
static cfg_opt_t *
make_options(void)
{
	size_t count;
	const struct setting *table = settings_table(&count);
	cfg_opt_t *options = calloc(count + 1, sizeof(*options));

	if (options == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		options[i] =
		    (cfg_opt_t)CFG_STR(table[i].name, NULL, CFGF_NODEFAULT);
	options[count] = (cfg_opt_t)CFG_END();
	return options;
}

int
settings_read_file(struct settings *settings, const char *path, bool may_lack,
    bool *found_out, struct error *error)
{
	struct file file = {.settings = settings, .path = path};
	struct stat status;
	int rc;

	file.in = fopen(path, "re");
	*found_out = file.in != NULL;
	if (file.in == NULL && may_lack &&
	    (errno == ENOENT || errno == ENOTDIR ||
		(errno == EACCES && settings->optional)))
		return 0;
	if (file.in == NULL)
		return error_set(error, ERROR_CONFIG, "%s: can't be read: %s",
		    path, strerror(errno));
	file.shown = fstat(fileno(file.in), &status) < 0 ||
		     (status.st_mode & S_IROTH) != 0;
	file.options = make_options();
	settings->file = strdup(path);
	if (file.options == NULL || settings->file == NULL)
		rc = error_set(error, ERROR_CONFIG, "out of memory");
	else
		rc = read_lines(&file, error);
	free(file.options);
	fclose(file.in);
	return rc;
}
