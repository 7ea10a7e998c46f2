/* Commands with verbs: how one is found and run, and what is said when it, or what stands behind it, is wrong. */
#pragma once

#include "base/options.h"

struct admin_client;
struct broker_access;

enum { VERB_FAILED = 1, VERB_UNUSABLE = 2 /* exit codes */, VERB_WORD_MAX = 40 };

/* A verb of a command that administers a broker. */
struct verb {
    const char *name;
    size_t      n_operands; /* behind the verb: exactly so many */
    FALLIBLE  (*run)(struct admin_client *client, const void *owner, struct err *err);
    FALLIBLE  (*check)(char **operands, struct err *err); /* NULL, or what is asked before a broker is */
    bool        is_offline; /* no broker is asked: `client` is NULL */
};

/*
 * Parses the command line, opens the broker and runs the verb; returns the command's exit code. Errors are one line on
 * standard error, `cloister: COMMAND: what`.
 *
 *   table       its rows write into what `owner` points to; its synopsis is what a wrong line is answered with
 *   operands    set to those behind the verb, before it runs
 */
int verbs_run(const char *command, const struct option_table *table, const struct verb *verbs, size_t n_verbs,
              const struct broker_access *access, const void *owner, char ***operands, int argc, char **argv);

/*
 * One line on standard error that names the wrong word, the one that was probably meant, and what is wanted; the command's
 * exit code.
 *
 *   word      what was given in the verb's place; NULL when nothing was
 *   wanted    "put URI FILE | list   [OPTION]..." or "snp, tdx or tpm; see ...": its words in lower case are the verbs
 */
int verb_refuse(const char *command, const char *word, const char *wanted);

/* The same for a right verb with too much or too little behind it: `synopsis` is of the first form. */
int verb_misused(const char *command, const char *verb, const char *synopsis);

/* The word of `n` that a slip of the finger or two away from this one; NULL when none is. */
const char *word_meant(const char *word, const char *const *words, size_t n);
