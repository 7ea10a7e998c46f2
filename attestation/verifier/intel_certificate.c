#include "attestation/verifier/intel_certificate.h"

#include "attestation/verifier/der.h"

static const uint8_t ecdsa_with_sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
/* SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point's coordinates */
static const uint8_t p256_key_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                           0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
static const uint8_t oid_common_name[] = { 0x55, 0x04, 0x03 };

enum { X509_V3 = 2, CRL_V2 = 1 };

/* The outer frame that certificates and lists share: what is signed, how, and the signature. */
static FALLIBLE frame_read(struct bytes whole, struct bytes *tbs, struct bytes *signature, struct err *err)
{
    struct reader outer = reader_over(whole);
    struct reader r     = take_der_reader(&outer, DER_SEQUENCE);
    struct bytes  algorithm;

    *tbs       = take_der_whole(&r, DER_SEQUENCE);
    algorithm  = take_der_whole(&r, DER_SEQUENCE);
    *signature = take_der_bits(&r);
    if (!reader_done(&outer, err) || !reader_done(&r, err))
        return false;
    if (!bytes_equal(algorithm, BYTES_OF(ecdsa_with_sha256)))
        return fail_with(err, ERR_UNSUPPORTED, "signature is not ecdsa-with-SHA256");
    return true;
}

/* The commonName of a Name that has exactly one. */
static FALLIBLE common_name_read(struct bytes name, struct bytes *out, struct err *err)
{
    struct reader outer = reader_over(name);
    struct reader names = take_der_reader(&outer, DER_SEQUENCE);
    size_t        n     = 0;

    while (names.left.len > 0) {
        struct reader set  = take_der_reader(&names, DER_SET);
        struct reader part = take_der_reader(&set, DER_SEQUENCE);
        struct bytes  oid  = take_der(&part, DER_OID);
        uint8_t       tag  = 0;
        struct bytes  text = take_der_any(&part, &tag);

        if (!reader_done(&set, err) || !reader_done(&part, err))
            return context(err, "name");
        if (!bytes_equal(oid, BYTES_OF(oid_common_name)))
            continue;
        if (tag != DER_UTF8 && tag != DER_PRINTABLE)
            return fail_with(err, ERR_UNSUPPORTED, "common name of string type %#x", tag);
        *out = text;
        n++;
    }
    return n == 1 || fail_with(err, ERR_MALFORMED, "name with %zu common names", n);
}

enum extension {
    EXT_OTHER, EXT_KEY_USAGE, EXT_BASIC_CONSTRAINTS, EXT_AUTHORITY_KEY, EXT_SUBJECT_KEY, EXT_CRL_POINTS, EXT_CRL_NUMBER,
    EXT_SGX, N_EXTENSIONS
};

static const struct { uint8_t len, oid[9]; } extension_oids[N_EXTENSIONS] = {
    [EXT_KEY_USAGE]         = { 3, { 0x55, 0x1d, 0x0f } },
    [EXT_BASIC_CONSTRAINTS] = { 3, { 0x55, 0x1d, 0x13 } },
    [EXT_AUTHORITY_KEY]     = { 3, { 0x55, 0x1d, 0x23 } },
    [EXT_SUBJECT_KEY]       = { 3, { 0x55, 0x1d, 0x0e } },
    [EXT_CRL_POINTS]        = { 3, { 0x55, 0x1d, 0x1f } },
    [EXT_CRL_NUMBER]        = { 3, { 0x55, 0x1d, 0x14 } },
    [EXT_SGX]               = { 9, { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 } },
};

static enum extension extension_of(struct bytes oid)
{
    for (unsigned i = EXT_OTHER + 1; i < N_EXTENSIONS; i++)
        if (bytes_equal(oid, (struct bytes){ extension_oids[i].oid, extension_oids[i].len }))
            return (enum extension) i;
    return EXT_OTHER;
}

/* Sorts the values of known extensions into `values`; refuses a repeated one and an unknown critical one. */
static FALLIBLE extensions_read(struct reader *r, struct bytes values[static N_EXTENSIONS], struct err *err)
{
    bool seen[N_EXTENSIONS] = { false };

    while (!r->failed && r->left.len > 0) {
        struct reader  one      = take_der_reader(r, DER_SEQUENCE);
        enum extension which    = extension_of(take_der(&one, DER_OID));
        bool           critical = der_next_is(&one, DER_BOOLEAN) && take_der_bool(&one);
        struct bytes   value    = take_der(&one, DER_OCTET_STRING);

        if (!reader_done(&one, err))
            return context(err, "extension");
        if (which == EXT_OTHER && critical)
            return fail_with(err, ERR_UNSUPPORTED, "unknown critical extension");
        if (which == EXT_OTHER)
            continue;
        if (seen[which])
            return fail_with(err, ERR_MALFORMED, "repeated extension");
        seen[which]   = true;
        values[which] = value;
    }
    return reader_done(r, err) || context(err, "extensions");
}

static FALLIBLE key_usage_read(struct bytes value, uint8_t *use, struct err *err)
{
    struct reader r    = reader_over(value);
    struct bytes  bits = take_der(&r, DER_BIT_STRING);

    if (!reader_done(&r, err))
        return context(err, "key usage");
    if (bits.len != 2 || bits.at[0] > 7)
        return fail_with(err, ERR_UNSUPPORTED, "key usage of %zu bytes", bits.len);
    *use = bits.at[1];
    return true;
}

static FALLIBLE basic_constraints_read(struct bytes value, bool *is_ca, struct err *err)
{
    struct reader outer = reader_over(value);
    struct reader r     = take_der_reader(&outer, DER_SEQUENCE);

    *is_ca = der_next_is(&r, DER_BOOLEAN) && take_der_bool(&r);
    if (der_next_is(&r, DER_INTEGER))
        (void) take_der_u64(&r, DER_INTEGER, UINT8_MAX); /* chains here have a fixed length */
    return (reader_done(&outer, err) && reader_done(&r, err)) || context(err, "basic constraints");
}

static FALLIBLE point_read(struct reader *r, struct bytes *point, struct err *err)
{
    struct bytes prefix = take(r, sizeof p256_key_prefix);

    *point = take(r, P256_POINT_LEN);
    if (!reader_ok(r, err) || !bytes_equal(prefix, BYTES_OF(p256_key_prefix)))
        return fail_with(err, ERR_UNSUPPORTED, "public key is not an uncompressed P-256 point");
    return true;
}

static FALLIBLE tbs_read(struct bytes tbs, struct intel_certificate *c, struct err *err)
{
    struct reader outer                = reader_over(tbs);
    struct reader r                    = take_der_reader(&outer, DER_SEQUENCE);
    struct bytes  values[N_EXTENSIONS] = { 0 };

    struct reader version   = take_der_reader(&r, DER_CONTEXT_0);
    uint64_t      number    = take_der_u64(&version, DER_INTEGER, X509_V3);
    c->serial               = take_der(&r, DER_INTEGER);
    struct bytes  algorithm = take_der_whole(&r, DER_SEQUENCE);
    c->issuer               = take_der_whole(&r, DER_SEQUENCE);
    struct reader validity  = take_der_reader(&r, DER_SEQUENCE);
    c->not_before           = take_der_time(&validity);
    c->not_after            = take_der_time(&validity);
    c->subject              = take_der_whole(&r, DER_SEQUENCE);

    if (!reader_ok(&r, err) || !reader_done(&version, err) || !reader_done(&validity, err))
        return false;
    if (number != X509_V3 || !bytes_equal(algorithm, BYTES_OF(ecdsa_with_sha256)) || c->serial.len == 0)
        return fail_with(err, ERR_UNSUPPORTED, "not version 3 with ecdsa-with-SHA256");
    if (!point_read(&r, &c->point, err) || !common_name_read(c->subject, &c->common_name, err))
        return false;

    struct reader wrapped = take_der_reader(&r, DER_CONTEXT_3);
    struct reader list    = take_der_reader(&wrapped, DER_SEQUENCE);

    if (!reader_done(&r, err) || !reader_done(&wrapped, err) || !extensions_read(&list, values, err))
        return false;
    c->sgx_extension = values[EXT_SGX];
    return key_usage_read(values[EXT_KEY_USAGE], &c->use, err) &&
           basic_constraints_read(values[EXT_BASIC_CONSTRAINTS], &c->is_ca, err);
}

FALLIBLE intel_certificate_read(struct bytes whole, struct intel_certificate *out, struct err *err)
{
    struct intel_certificate c = { .whole = whole };

    if (whole.len > CERTIFICATE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "certificate of %zu bytes; at most %d are allowed", whole.len,
                         CERTIFICATE_LEN_MAX);
    if (!frame_read(whole, &c.tbs, &c.signature, err) || !tbs_read(c.tbs, &c, err))
        return context(err, "certificate");
    *out = c;
    return true;
}

/* One revoked certificate; false when there is none left or it breaks its format. */
static bool take_entry(struct reader *r, struct bytes *serial)
{
    struct reader entry = take_der_reader(r, DER_SEQUENCE);

    *serial = take_der(&entry, DER_INTEGER);
    (void) take_der_time(&entry); /* when it was revoked does not matter: it is */
    if (der_next_is(&entry, DER_SEQUENCE)) {
        struct bytes  values[N_EXTENSIONS] = { 0 };
        struct reader list                 = take_der_reader(&entry, DER_SEQUENCE);
        struct err    ignored;

        if (!extensions_read(&list, values, &ignored)) /* an indirect list marks its entries critical */
            r->failed = true;
    }
    if (entry.failed || entry.left.len > 0)
        r->failed = true;
    return !r->failed;
}

static FALLIBLE entries_read(struct bytes entries, struct err *err)
{
    struct reader r = reader_over(entries);
    struct bytes  serial;

    while (r.left.len > 0)
        if (!take_entry(&r, &serial))
            return fail_with(err, ERR_MALFORMED, "revoked certificate before offset %zu", r.offset);
    return true;
}

static FALLIBLE list_read(struct bytes tbs, struct intel_crl *l, struct err *err)
{
    struct reader outer                = reader_over(tbs);
    struct reader r                    = take_der_reader(&outer, DER_SEQUENCE);
    struct bytes  values[N_EXTENSIONS] = { 0 };

    uint64_t     version   = take_der_u64(&r, DER_INTEGER, CRL_V2);
    struct bytes algorithm = take_der_whole(&r, DER_SEQUENCE);
    l->issuer              = take_der_whole(&r, DER_SEQUENCE);
    l->this_update         = take_der_time(&r);
    l->next_update         = take_der_time(&r);
    if (der_next_is(&r, DER_SEQUENCE))
        l->entries = take_der(&r, DER_SEQUENCE);
    struct reader wrapped = take_der_reader(&r, DER_CONTEXT_0);
    struct reader list    = take_der_reader(&wrapped, DER_SEQUENCE);

    if (!reader_done(&r, err) || !reader_done(&wrapped, err))
        return false;
    if (version != CRL_V2 || !bytes_equal(algorithm, BYTES_OF(ecdsa_with_sha256)))
        return fail_with(err, ERR_UNSUPPORTED, "not version 2 with ecdsa-with-SHA256");
    if (!extensions_read(&list, values, err) || !entries_read(l->entries, err))
        return false;
    if (values[EXT_AUTHORITY_KEY].len == 0 || values[EXT_CRL_NUMBER].len == 0)
        return fail_with(err, ERR_MALFORMED, "no CRL number or no authority key identifier");

    struct reader number = reader_over(values[EXT_CRL_NUMBER]);

    l->number = take_der(&number, DER_INTEGER);
    return reader_done(&number, err) || context(err, "CRL number");
}

FALLIBLE intel_crl_read(struct bytes whole, struct intel_crl *out, struct err *err)
{
    struct intel_crl l = { .whole = whole };

    if (whole.len > CRL_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "CRL of %zu bytes; at most %d are allowed", whole.len, CRL_LEN_MAX);
    if (!frame_read(whole, &l.tbs, &l.signature, err) || !list_read(l.tbs, &l, err))
        return context(err, "CRL");
    *out = l;
    return true;
}

bool intel_crl_lists(const struct intel_crl *list, struct bytes serial)
{
    struct reader r = reader_over(list->entries);
    struct bytes  listed;

    while (r.left.len > 0) {
        if (!take_entry(&r, &listed) || bytes_equal(listed, serial)) /* what cannot be read is taken as a hit */
            return true;
    }
    return false;
}
