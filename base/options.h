/*
 * Command lines from one table: parser, --help and completion come from the same rows. Options are
 * `--name VALUE`, `--name=VALUE` or a bare `--name` flag; `--` ends them; so does the first operand when
 * `stop_at_operand` is set (for commands that carry another command line behind them).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum option_kind {
    OPTION_TEXT,   /* const char **: points into argv */
    OPTION_NUMBER, /* uint64_t *: decimal or 0x…, within `least` and `most` */
    OPTION_FLAG,   /* bool * */
    OPTION_LIST    /* struct option_list *: may be given again */
};

enum { OPTION_LIST_MAX = 256 };

struct option_list {
    const char *at[OPTION_LIST_MAX];
    size_t      n;
};

struct option_row {
    const char      *name;  /* without the dashes */
    enum option_kind kind;
    void            *into;
    const char      *value; /* what --help shows for the value: "FILE"; NULL for a flag */
    const char      *help;
    uint64_t         least, most; /* for numbers; most == 0 means no bound */
};

struct option_table {
    const char              *command; /* "cloister run" */
    const char              *synopsis; /* "[OPTION]... IMAGE [ARG...]" */
    const char              *about;   /* what it does, a sentence or two */
    const struct option_row *rows;
    size_t                   n_rows;
    bool                     stop_at_operand;
    const char              *notes;   /* printed after the options; may be NULL */
};

enum options_outcome { OPTIONS_RUN, OPTIONS_HELP_WAS_PRINTED /* or the version */ };

/*
 * Reads `argv[1..]` into the rows' targets and leaves the operands.
 *
 *   operands    borrowed from argv; `n_operands` of them
 *   outcome     OPTIONS_HELP_WAS_PRINTED after --help, -h or --version: the caller exits 0
 *
 * Fails CONFIG, with a text that names the option and the way to --help.
 */
FALLIBLE options_parse(const struct option_table *table, int argc, char **argv, enum options_outcome *outcome,
                       char ***operands, size_t *n_operands, struct err *err);
void options_help(const struct option_table *table, FILE *to);
