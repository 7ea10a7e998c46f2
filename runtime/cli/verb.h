/* Commands with verbs: what is said when the verb, or what stands behind it, is wrong. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { VERB_UNUSABLE = 2, VERB_WORD_MAX = 40 };

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
