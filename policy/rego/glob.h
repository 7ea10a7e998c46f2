/* Glob patterns as OPA's glob.match takes them, turned into regular expressions. */
#pragma once

#include "policy/rego/json.h"

/*
 * Writes the regular expression of a glob: * and ? stay between delimiters, ** does not; [abc], [!a-z] and
 * {one,two} as usual; a backslash takes the next character as it is. Fails MALFORMED for an unclosed bracket.
 *
 *   delimiters    code points as UTF-8 text; empty: * and ? match anything
 */
FALLIBLE glob_write_regex(struct bytes pattern, struct bytes delimiters, struct text_out *out, struct err *err);
