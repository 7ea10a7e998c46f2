/* UTF-8, one code point at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { RUNE_BAD = 0xfffd };

/* Bytes of the sequence at the front of `at`; 0 when it is not valid UTF-8 (overlong, surrogate, cut off). */
size_t   utf8_read(const char *at, size_t len, uint32_t *out);
size_t   utf8_write(uint32_t rune, char out[static 4]); /* bytes written; what is no code point becomes U+FFFD */
size_t   utf8_count(const char *at, size_t len);        /* code points; each invalid byte counts as one */
size_t   utf8_step(const char *at, size_t len, uint32_t *out); /* as utf8_read, but an invalid byte is U+FFFD of length 1 */
bool     utf8_valid(const char *at, size_t len);
