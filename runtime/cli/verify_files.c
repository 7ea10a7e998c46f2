/* What the files of `cloister verify` look like when services and tools have written them. */
#include "attestation/verifier/pem.h"
#include "base/text.h"
#include "runtime/cli/verify.h"

static bool is_hex(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (!((b.at[i] >= '0' && b.at[i] <= '9') || (b.at[i] >= 'a' && b.at[i] <= 'f') || (b.at[i] >= 'A' && b.at[i] <= 'F')))
            return false;
    return b.len > 0;
}

static void replace(struct buffer *old, struct buffer *new)
{
    buffer_free(old);
    *old = TAKE(*new);
}

void verify_list_normalize(struct buffer *list)
{
    AUTO(buffer) struct buffer der  = { 0 };
    struct bytes               text = buffer_bytes(list);
    struct err                 ignored; /* left as it is, and refused by the verifier */

    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    if (is_hex(text) ? hex_read(text, &der, &ignored) : pem_read_one(buffer_bytes(list), "X509 CRL", &der, &ignored))
        replace(list, &der);
}

/* [RFC 3986 2.1]; services write the digits in upper case, so that one text has one encoding. */
static int upper_hex_value(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

void verify_chain_normalize(struct buffer *chain)
{
    static const char          begin[] = "-----BEGIN%20";
    AUTO(buffer) struct buffer text    = { 0 };
    struct reader              r       = reader_over(buffer_bytes(chain));

    if (!bytes_equal(take(&r, sizeof begin - 1), bytes_of_text(begin)))
        return;
    r = reader_over(buffer_bytes(chain));
    while (r.left.len > 0) {
        uint8_t c = take_u8(&r);

        if (c == '%') {
            int high = upper_hex_value(take_u8(&r)), low = upper_hex_value(take_u8(&r));

            if (r.failed || high < 0 || low < 0)
                return;
            c = (uint8_t) (high << 4 | low);
        }
        *buffer_grow(&text, 1) = c;
    }
    replace(chain, &text);
}

void verify_certificate_pick(struct buffer *certificates, enum verify_position which)
{
    AUTO(pem_certificates) struct pem_certificates all = { 0 };
    struct err                                     ignored; /* left as it is, and refused by the verifier */

    if (pem_certificates_read(buffer_bytes(certificates), &all, &ignored) && all.n > 1)
        replace(certificates, &all.der[which == VERIFY_FIRST ? 0 : all.n - 1]);
}
