/* Certificates in PEM, read strictly: one text has one meaning, so that no byte of it can change unnoticed. [RFC 7468 3] */
#pragma once

#include "base/bytes.h"

enum { PEM_LEN_MAX = 64 * 1024, PEM_CERTIFICATES_MAX = 3, PEM_ONE_LEN_MAX = 2 << 20 };

struct pem_certificates {
    struct buffer der[PEM_CERTIFICATES_MAX]; /* in the order of the text */
    size_t        n;
};

void pem_certificates_free(struct pem_certificates *p);
static inline void auto_pem_certificates(struct pem_certificates *p) { pem_certificates_free(p); }

/*
 * Reads a text of nothing but certificates: base64 lines of at most 64 characters, lines end in LF or CRLF,
 * empty lines only between and behind certificates.
 *
 *   out    yours, empty before; release with AUTO(pem_certificates), also after a failure
 *
 * Fails MALFORMED; LIMIT over PEM_LEN_MAX or for more than PEM_CERTIFICATES_MAX certificates.
 */
FALLIBLE pem_certificates_read(struct bytes text, struct pem_certificates *out, struct err *err);

/* Reads a text of exactly one block, "BEGIN `label`", in the same form; its bytes are appended. */
FALLIBLE pem_read_one(struct bytes text, const char *label, struct buffer *out, struct err *err);
