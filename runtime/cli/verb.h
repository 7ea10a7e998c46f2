/* Commands with verbs: what is said when the verb is wrong. */
#pragma once

enum { VERB_UNUSABLE = 2 };

/*
 * One line on standard error that names the wrong word and what is wanted; the command's exit code.
 *
 *   word      what was given in the verb's place; NULL when nothing was, or when the verb is right and its operands are not
 */
int verb_refuse(const char *command, const char *word, const char *wanted);
