#include "keys/broker/corim.h"

#include <string.h>

#include "base/text.h"
#include "keys/broker/cbor_document.h"

/* Tags and keys [draft-ietf-rats-corim 4.1, 5.1] */
enum { TAG_EPOCH = 1, TAG_UUID = 37, TAG_CORIM = 501, TAG_COMID = 506 };
enum { CORIM_TAGS = 1, CORIM_VALIDITY = 4, COMID_TRIPLES = 4, TRIPLES_REFERENCE = 0, NOT_BEFORE = 0, NOT_AFTER = 1 };
enum { ENVIRONMENT_CLASS = 0, CLASS_VENDOR = 1, CLASS_MODEL = 2, MEASUREMENT_KEY = 0, MEASUREMENT_VALUES = 1,
       VALUES_DIGESTS = 2, VALUES_REGISTERS = 14 };
enum { DIGEST_MAX = 64, NAME_LEN_MAX = 200, UUID_LEN = 16 };

/* COSE [RFC 9052 2, 3.1, RFC 9053 2] */
enum { COSE_SIGN1_HEAD = 0xd2, /* tag 18 */ COSE_ALG = 1, COSE_CRIT = 2, COSE_ES256 = -7, COSE_EDDSA = -8, SIGNATURE_LEN = 64, HALF = 32 };

void corim_free(struct corim *corim)
{
    json_object_put(corim->values);
    *corim = (struct corim){ 0 };
}

static bool malformed(struct err *err, const char *what) { return fail_with(err, ERR_MALFORMED, "CoRIM: %s", what); }

/* ---- names ---- */

static const struct { const char *model, *reg, *name; } REGISTERS[] = {
    { "SEV-SNP", "measurement", "snp_launch_measurement" },
    { "TDX", "mrtd", "mr_td" },
    { "TDX", "rtmr0", "rtmr_0" },
    { "TDX", "rtmr1", "rtmr_1" },
    { "TDX", "rtmr2", "rtmr_2" },
    { "TDX", "rtmr3", "rtmr_3" },
};

static bool is_text(struct bytes b, const char *text) { return bytes_equal(b, bytes_of_text(text)); }

/* As policies ask for it; a register of another environment keeps its own name. */
static void register_name(const cbor_item_t *environment, struct bytes reg, struct buffer *out)
{
    struct bytes model = { 0 };

    (void) cbor_text(cbor_value(cbor_value(environment, ENVIRONMENT_CLASS), CLASS_MODEL), &model); /* may be missing */
    for (size_t i = 0; i < sizeof REGISTERS / sizeof *REGISTERS; i++) {
        if (is_text(model, REGISTERS[i].model) && is_text(reg, REGISTERS[i].reg)) {
            buffer_append_text(out, REGISTERS[i].name);
            return;
        }
    }
    buffer_append(out, reg);
}

/* A measurement's key: a text, a number or a UUID. False: it has none. */
static bool key_name(cbor_item_t *measurement, struct buffer *out)
{
    cbor_item_t *key = cbor_value(measurement, MEASUREMENT_KEY);
    struct bytes b;
    int64_t      number;

    if (cbor_text(key, &b)) {
        buffer_append(out, b);
    } else if (cbor_number(key, &number)) {
        buffer_printf(out, "%lld", (long long) number);
    } else if (cbor_bytes(cbor_untagged(key, TAG_UUID), &b) && b.len == UUID_LEN) {
        for (size_t i = 0; i < b.len; i++)
            buffer_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b.at[i]);
    } else {
        return false;
    }
    return true;
}

/* ---- values ---- */

struct reading {
    struct json_object *values;
    size_t              n;
};

static FALLIBLE digest_add(struct reading *r, struct buffer *name, const cbor_item_t *digest, struct err *err)
{
    AUTO(buffer) struct buffer hex = { 0 };
    struct json_object        *list;
    struct bytes               value;

    if (!cbor_bytes(cbor_element(digest, 1), &value) || value.len == 0 || value.len > DIGEST_MAX)
        return malformed(err, "a digest is [algorithm, bytes]");
    if (name->len == 0 || name->len > NAME_LEN_MAX || memchr(name->at, 0, name->len))
        return malformed(err, "the name of a value is empty or too long");
    if (r->n++ >= CORIM_VALUES_MAX)
        return fail_with(err, ERR_LIMIT, "CoRIM: more than %d values", CORIM_VALUES_MAX);
    hex_append(&hex, value);
    if (!json_object_object_get_ex(r->values, buffer_text(name), &list)) {
        list = json_object_new_array();
        json_add(r->values, buffer_text(name), list);
    }
    if (json_object_array_add(list, json_object_new_string(buffer_text(&hex))) != 0)
        abort();
    return true;
}

static FALLIBLE digests_add(struct reading *r, struct buffer *name, const cbor_item_t *digests, struct err *err)
{
    if (cbor_length(digests) == 0 || !cbor_element(digests, 0))
        return malformed(err, "digests are a list");
    for (size_t i = 0; i < cbor_length(digests); i++) {
        if (!digest_add(r, name, cbor_element(digests, i), err))
            return false;
    }
    return true;
}

static FALLIBLE registers_add(struct reading *r, const cbor_item_t *environment, const cbor_item_t *registers, struct err *err)
{
    if (!cbor_isa_map(registers))
        return malformed(err, "integrity registers are a map");
    for (size_t i = 0; i < cbor_length(registers); i++) {
        AUTO(buffer) struct buffer name = { 0 };
        struct cbor_pair           pair = cbor_map_handle(registers)[i];
        struct bytes               text;
        int64_t                    number;

        if (cbor_text(pair.key, &text))
            register_name(environment, text, &name);
        else if (cbor_number(pair.key, &number))
            buffer_printf(&name, "%lld", (long long) number);
        if (!digests_add(r, &name, pair.value, err))
            return false;
    }
    return true;
}

static FALLIBLE measurement_add(struct reading *r, const cbor_item_t *environment, cbor_item_t *measurement, struct err *err)
{
    AUTO(buffer) struct buffer name      = { 0 };
    cbor_item_t               *values    = cbor_value(measurement, MEASUREMENT_VALUES);
    cbor_item_t               *registers = cbor_value(values, VALUES_REGISTERS);
    cbor_item_t               *digests   = cbor_value(values, VALUES_DIGESTS);

    if (!values || !cbor_isa_map(values))
        return malformed(err, "a measurement without values");
    if (registers && !registers_add(r, environment, registers, err))
        return false;
    return !digests || !key_name(measurement, &name) || digests_add(r, &name, digests, err);
}

static FALLIBLE triple_add(struct reading *r, const cbor_item_t *triple, struct err *err)
{
    const cbor_item_t *measurements = cbor_element(triple, 1);

    if (cbor_length(triple) != 2 || !measurements || cbor_length(measurements) == 0 || !cbor_isa_array(measurements))
        return malformed(err, "a reference triple is [environment, [measurement...]]");
    for (size_t i = 0; i < cbor_length(measurements); i++) {
        if (!measurement_add(r, cbor_element(triple, 0), cbor_element(measurements, i), err))
            return false;
    }
    return true;
}

static FALLIBLE comid_add(struct reading *r, struct bytes text, struct err *err)
{
    AUTO(cbor) cbor_item_t *comid = NULL;
    const cbor_item_t      *triples;

    if (!cbor_document_read(text, CORIM_LEN_MAX, &comid, err))
        return context(err, "CoMID");
    triples = cbor_value(cbor_value(comid, COMID_TRIPLES), TRIPLES_REFERENCE);
    for (size_t i = 0; i < cbor_length(triples); i++) {
        if (!triple_add(r, cbor_element(triples, i), err))
            return false;
    }
    return true;
}

/* ---- the document ---- */

static FALLIBLE instant_read(cbor_item_t *item, int64_t *out, struct err *err)
{
    return cbor_number(cbor_untagged(item, TAG_EPOCH), out) || malformed(err, "a time is tag 1 and a whole number of seconds");
}

static FALLIBLE validity_check(const cbor_item_t *validity, int64_t now, int64_t *expires, struct err *err)
{
    cbor_item_t *not_before = cbor_value(validity, NOT_BEFORE), *not_after = cbor_value(validity, NOT_AFTER);
    int64_t      from = INT64_MIN;

    *expires = 0;
    if (!validity)
        return true;
    if (!not_after || !instant_read(not_after, expires, err) || (not_before && !instant_read(not_before, &from, err)))
        return not_after ? false : malformed(err, "a validity without its end");
    if (now < from || now >= *expires || *expires <= 0)
        return fail_with(err, ERR_UNTRUSTED, "CoRIM: it is not valid now");
    return true;
}

FALLIBLE corim_read(struct bytes text, int64_t now, struct corim *out, struct err *err)
{
    AUTO(cbor) cbor_item_t   *whole = NULL;
    AUTO(corim) struct corim  read  = { 0 };
    struct reading            r     = { 0 };
    const cbor_item_t        *body, *tags;

    if (!cbor_document_read(text, CORIM_LEN_MAX, &whole, err))
        return false;
    body = cbor_untagged(whole, TAG_CORIM);
    tags = cbor_value(body, CORIM_TAGS);
    if (!body || !cbor_isa_map(body) || !tags || !cbor_isa_array(tags) || cbor_length(tags) == 0)
        return malformed(err, "tag 501, a map with tags, is wanted");
    if (!validity_check(cbor_value(body, CORIM_VALIDITY), now, &read.expires, err))
        return false;
    r.values = read.values = json_object_new_object();
    for (size_t i = 0; i < cbor_length(tags); i++) {
        cbor_item_t *comid = cbor_untagged(cbor_element(tags, i), TAG_COMID);
        struct bytes inner;

        if (cbor_bytes(comid, &inner) ? !comid_add(&r, inner, err) : comid != NULL && !malformed(err, "a CoMID is bytes"))
            return false; /* other tags, such as CoSWID, say nothing that a policy here asks for */
    }
    if (r.n == 0)
        return malformed(err, "there is no reference value in it");
    *out = TAKE(read);
    return true;
}

/* ---- COSE_Sign1 ---- */

bool corim_is_signed(struct bytes text) { return text.len > 0 && text.at[0] == COSE_SIGN1_HEAD; }

struct sign1 {
    struct bytes covered, payload, signature; /* `covered`: the protected header, encoded */
    int64_t      alg;
};

static FALLIBLE sign1_read(const cbor_item_t *parts, struct sign1 *out, struct err *err)
{
    AUTO(cbor) cbor_item_t *header = NULL;

    if (cbor_length(parts) != 4 || !cbor_bytes(cbor_element(parts, 0), &out->covered) ||
        !cbor_bytes(cbor_element(parts, 2), &out->payload) || !cbor_bytes(cbor_element(parts, 3), &out->signature))
        return fail_with(err, ERR_MALFORMED, "COSE_Sign1: tag 18, [bytes, map, bytes, bytes], is wanted");
    if (!cbor_document_read(out->covered, CORIM_LEN_MAX, &header, err))
        return context(err, "COSE_Sign1: protected header");
    if (!cbor_number(cbor_value(header, COSE_ALG), &out->alg))
        return fail_with(err, ERR_MALFORMED, "COSE_Sign1: the protected header names no algorithm");
    if (cbor_value(header, COSE_CRIT))
        return fail_with(err, ERR_UNSUPPORTED, "COSE_Sign1: critical header parameters");
    if (out->signature.len != SIGNATURE_LEN)
        return fail_with(err, ERR_MALFORMED, "COSE_Sign1: a signature of %zu bytes; wanted %d", out->signature.len, SIGNATURE_LEN);
    return true;
}

static void append_bytes(struct buffer *out, struct bytes b)
{
    unsigned char head[9];
    size_t        len = cbor_encode_bytestring_start(b.len, head, sizeof head);

    buffer_append(out, (struct bytes){ head, len });
    buffer_append(out, b);
}

/* ["Signature1", protected, h'', payload] [RFC 9052 4.4] */
static void signed_bytes(const struct sign1 *s, struct buffer *out)
{
    buffer_append_text(out, "\x84\x6aSignature1");
    append_bytes(out, s->covered);
    append_bytes(out, (struct bytes){ 0 });
    append_bytes(out, s->payload);
}

static bool holds_under(const struct sign1 *s, struct bytes covered, EVP_PKEY *key)
{
    AUTO(md_ctx) EVP_MD_CTX   *md  = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG *sig = NULL;
    bool                       is_ecdsa = EVP_PKEY_is_a(key, "EC");
    uint8_t                    der[96], *to = der;
    struct bytes               signature = s->signature;

    if (s->alg != (is_ecdsa ? COSE_ES256 : COSE_EDDSA))
        return false;
    if (is_ecdsa) {
        sig = ECDSA_SIG_new();
        if (!sig || ECDSA_SIG_set0(sig, BN_bin2bn(signature.at, HALF, NULL), BN_bin2bn(signature.at + HALF, HALF, NULL)) != 1)
            abort();
        signature = (struct bytes){ der, (size_t) i2d_ECDSA_SIG(sig, &to) }; /* 2 * (32 + 3) + 2 at most: fits */
    }
    return md && EVP_DigestVerifyInit(md, NULL, is_ecdsa ? EVP_sha256() : NULL, NULL, key) == 1 &&
           EVP_DigestVerify(md, signature.at, signature.len, covered.at, covered.len) == 1;
}

FALLIBLE corim_open_signed(struct bytes text, EVP_PKEY *const *keys, size_t n_keys, struct buffer *payload, size_t *which,
                           struct err *err)
{
    AUTO(cbor) cbor_item_t    *whole   = NULL;
    AUTO(buffer) struct buffer covered = { 0 };
    struct sign1               s;

    if (!corim_is_signed(text))
        return fail_with(err, ERR_MALFORMED, "COSE_Sign1: tag 18, [bytes, map, bytes, bytes], is wanted");
    text = (struct bytes){ text.at + 1, text.len - 1 }; /* Debian 12's libcbor (0.8) refuses tags 6 to 20 in one byte */
    if (!cbor_document_read(text, CORIM_LEN_MAX, &whole, err) || !sign1_read(whole, &s, err))
        return false;
    signed_bytes(&s, &covered);
    for (size_t i = 0; i < n_keys; i++) {
        if (holds_under(&s, buffer_bytes(&covered), keys[i])) {
            buffer_append(payload, s.payload);
            *which = i;
            return true;
        }
    }
    return fail_with(err, ERR_UNTRUSTED, "COSE_Sign1: no key that this broker trusts has signed it");
}
