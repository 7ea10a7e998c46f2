#include "attestation/verifier/pem.h"

#include <string.h>

#include "base/auto.h"
#include "base/text.h"

static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
static const char end_line[]   = "-----END CERTIFICATE-----";
enum { LINE_LEN_MAX = 64 }; /* [RFC 7468 2] */

void pem_certificates_free(struct pem_certificates *p)
{
    for (size_t i = 0; i < PEM_CERTIFICATES_MAX; i++)
        buffer_free(&p->der[i]);
    p->n = 0;
}

/* The next line without its end; the last one may lack it. */
static struct bytes take_line(struct reader *r)
{
    const uint8_t *end  = r->left.len > 0 ? memchr(r->left.at, '\n', r->left.len) : NULL;
    struct bytes   line = take(r, end ? (size_t) (end - r->left.at) : r->left.len);

    if (end)
        take(r, 1);
    if (end && line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* The lines between BEGIN, which has been read, and END. */
static FALLIBLE body_read(struct reader *r, struct buffer *der, struct err *err)
{
    AUTO(buffer) struct buffer base64 = { 0 };

    while (r->left.len > 0) {
        struct bytes line = take_line(r);

        if (bytes_equal(line, bytes_of_text(end_line)))
            return base64_read(buffer_bytes(&base64), BASE64_STANDARD, der, err) || context(err, "PEM");
        if (line.len == 0 || line.len > LINE_LEN_MAX)
            return fail_with(err, ERR_MALFORMED, "PEM: line of %zu characters before offset %zu", line.len, r->offset);
        buffer_append(&base64, line);
    }
    return fail_with(err, ERR_MALFORMED, "PEM: no END CERTIFICATE");
}

FALLIBLE pem_certificates_read(struct bytes text, struct pem_certificates *out, struct err *err)
{
    struct reader r = reader_over(text);

    if (text.len > PEM_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "PEM text of %zu bytes; at most %d are allowed", text.len, PEM_LEN_MAX);

    while (r.left.len > 0) {
        struct bytes line = take_line(&r);

        if (line.len == 0 && out->n > 0)
            continue;
        if (!bytes_equal(line, bytes_of_text(begin_line)))
            return fail_with(err, ERR_MALFORMED, "PEM: no BEGIN CERTIFICATE before offset %zu", r.offset);
        if (out->n == PEM_CERTIFICATES_MAX)
            return fail_with(err, ERR_LIMIT, "PEM: more than %d certificates", PEM_CERTIFICATES_MAX);
        if (!body_read(&r, &out->der[out->n], err))
            return false;
        out->n++;
    }
    if (out->n == 0)
        return fail_with(err, ERR_MALFORMED, "PEM: no certificate");
    return reader_ok(&r, err);
}
