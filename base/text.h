/* Bytes as text and back: hex and the three base64 forms that the protocols use. */
#pragma once

#include "base/bytes.h"

enum base64_form {
    BASE64_STANDARD,  /* RFC 4648 section 4, padded; reading refuses missing padding */
    BASE64_URL,       /* section 5, without padding; reading refuses padding */
    BASE64_URL_PADDED /* section 5, padded */
};

void     hex_append(struct buffer *out, struct bytes b); /* lower case */
FALLIBLE hex_read(struct bytes text, struct buffer *out, struct err *err); /* either case; even length */
FALLIBLE hex_read_exact(const char *text, uint8_t *out, size_t len, struct err *err);

/* Canonical only: no white space, no stray bits in the last character. */
void     base64_append(struct buffer *out, struct bytes b, enum base64_form form);
FALLIBLE base64_read(struct bytes text, enum base64_form form, struct buffer *out, struct err *err);

bool is_utf8(struct bytes b); /* well formed: no overlong form, no surrogate, nothing above U+10FFFF */

/* Appends `b` so that it can stand in one log line: printable ASCII as it is, the rest as \xNN, cut at `most`. */
void printable_append(struct buffer *out, struct bytes b, size_t most);
