#include "attestation/verifier/pem.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"

static const char certificate[] = "CERTIFICATE";
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

/* "-----BEGIN CERTIFICATE-----" */
static bool is_frame(struct bytes line, const char *edge, const char *label)
{
    char wanted[64];
    int  len = snprintf(wanted, sizeof wanted, "-----%s %s-----", edge, label);

    return len > 0 && (size_t) len < sizeof wanted && bytes_equal(line, bytes_of_text(wanted));
}

/* The lines between BEGIN, which has been read, and END. */
static FALLIBLE body_read(struct reader *r, const char *label, struct buffer *der, struct err *err)
{
    AUTO(buffer) struct buffer base64 = { 0 };

    while (r->left.len > 0) {
        struct bytes line = take_line(r);

        if (is_frame(line, "END", label))
            return base64_read(buffer_bytes(&base64), BASE64_STANDARD, der, err) || context(err, "PEM");
        if (line.len == 0 || line.len > LINE_LEN_MAX)
            return fail_with(err, ERR_MALFORMED, "PEM: line of %zu characters before offset %zu", line.len, r->offset);
        buffer_append(&base64, line);
    }
    return fail_with(err, ERR_MALFORMED, "PEM: no END %s", label);
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
        if (!is_frame(line, "BEGIN", certificate))
            return fail_with(err, ERR_MALFORMED, "PEM: no BEGIN CERTIFICATE before offset %zu", r.offset);
        if (out->n == PEM_CERTIFICATES_MAX)
            return fail_with(err, ERR_LIMIT, "PEM: more than %d certificates", PEM_CERTIFICATES_MAX);
        if (!body_read(&r, certificate, &out->der[out->n], err))
            return false;
        out->n++;
    }
    if (out->n == 0)
        return fail_with(err, ERR_MALFORMED, "PEM: no certificate");
    return reader_ok(&r, err);
}

FALLIBLE pem_read_one(struct bytes text, const char *label, struct buffer *out, struct err *err)
{
    struct reader r = reader_over(text);

    if (text.len > PEM_ONE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "PEM text of %zu bytes; at most %d are allowed", text.len, PEM_ONE_LEN_MAX);
    if (!is_frame(take_line(&r), "BEGIN", label))
        return fail_with(err, ERR_MALFORMED, "PEM: no BEGIN %s at the start", label);
    if (!body_read(&r, label, out, err))
        return false;
    while (r.left.len > 0 && (r.left.at[0] == '\n' || r.left.at[0] == '\r'))
        (void) take_u8(&r); /* empty lines at the end */
    return reader_done(&r, err) || context(err, "PEM");
}
