#include <string.h>

#include "attestation/verifier/snp_policy.h"
#include "base/text.h"

/* Text form of a policy; each member is read by its row. docs/attestation.md describes them in this order. */
enum { LISTED_MAX = 4096, FIELD_LEN_MAX = 128 };

struct snp_policy_document {
    struct snp_policy policy;
    struct bytes     *lists[9]; /* of the field rules; each points to bytes below */
    size_t            n_lists;
    uint8_t         **kept;
    size_t            n_kept;
};

const struct snp_policy *snp_policy_of(const struct snp_policy_document *document)
{
    return &document->policy;
}

void snp_policy_document_free(struct snp_policy_document *document)
{
    if (!document)
        return;
    for (size_t i = 0; i < document->n_lists; i++)
        free(document->lists[i]);
    for (size_t i = 0; i < document->n_kept; i++)
        free(document->kept[i]);
    free(document->kept);
    free(document);
}

/* The document takes a copy of `b`. */
static struct bytes keep(struct snp_policy_document *d, struct bytes b)
{
    uint8_t  *copy = zeroed(b.len, 1);
    uint8_t **more = realloc(d->kept, (d->n_kept + 1) * sizeof *more);

    if (!more)
        abort();
    memcpy(copy, b.at, b.len);
    d->kept              = more;
    d->kept[d->n_kept++] = copy;
    return (struct bytes){ copy, b.len };
}

struct name_bit { const char *name; uint64_t bit; };

#define NAME_BIT(name, bit, text) { text, UINT64_C(1) << (bit) },
static const struct name_bit grants[]   = { SNP_POLICY_GRANTS(NAME_BIT) { NULL, 0 } };
static const struct name_bit demands[]  = { SNP_POLICY_DEMANDS(NAME_BIT) { NULL, 0 } };
static const struct name_bit features[] = { SNP_PLATFORM_BITS(NAME_BIT) { NULL, 0 } };
#undef NAME_BIT

static FALLIBLE text_element(struct json_object *array, size_t i, const char **out, struct err *err)
{
    struct json_object *one = json_object_array_get_idx(array, i);

    if (!json_object_is_type(one, json_type_string))
        return fail_with(err, ERR_MALFORMED, "element %zu is no text", i);
    *out = json_object_get_string(one);
    return true;
}

static FALLIBLE read_bits(struct json_object *value, const struct name_bit *names, uint64_t *out, struct err *err)
{
    uint64_t bits = 0;

    if (!json_object_is_type(value, json_type_array))
        return fail_with(err, ERR_MALFORMED, "is no array of names");
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        const char            *name = NULL;
        const struct name_bit *row  = names;

        if (!text_element(value, i, &name, err))
            return false;
        while (row->name && strcmp(row->name, name) != 0)
            row++;
        if (!row->name)
            return fail_with(err, ERR_MALFORMED, "knows no \"%s\"", name);
        bits |= row->bit;
    }
    *out = bits;
    return true;
}

static FALLIBLE read_u64(struct json_object *value, uint64_t most, uint64_t *out, struct err *err)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return fail_with(err, ERR_MALFORMED, "is no number from 0 up");
    *out = json_object_get_uint64(value);
    return *out <= most || fail_with(err, ERR_MALFORMED, "is over %llu", (unsigned long long) most);
}

/* [2, 3] sets bools[2] and bools[3] and clears the others. */
static FALLIBLE read_numbers(struct json_object *value, uint64_t least, bool *bools, size_t n, struct err *err)
{
    if (!json_object_is_type(value, json_type_array))
        return fail_with(err, ERR_MALFORMED, "is no array of numbers");
    memset(bools, 0, n * sizeof *bools);
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        uint64_t number = 0;

        if (!read_u64(json_object_array_get_idx(value, i), n - 1, &number, err))
            return contextf(err, "element %zu", i);
        if (number < least)
            return fail_with(err, ERR_MALFORMED, "element %zu is below %llu", i, (unsigned long long) least);
        bools[number] = true;
    }
    return true;
}

/* "1.55" or "1.55.39": `n` numbers up to 255. */
static FALLIBLE read_dotted(struct json_object *value, uint8_t *out, size_t n, struct err *err)
{
    const char *at = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

    for (size_t i = 0; i < n; i++) {
        char         *end    = NULL;
        bool          digit  = *at >= '0' && *at <= '9';
        unsigned long number = digit ? strtoul(at, &end, 10) : 256;

        if (number > UINT8_MAX || *end != (i + 1 < n ? '.' : 0))
            return fail_with(err, ERR_MALFORMED, "is no text of %zu numbers up to 255 with dots between", n);
        out[i] = (uint8_t) number;
        at     = end + 1;
    }
    return true;
}

/* Calls `read` for each product named by a member of `value`. */
static FALLIBLE each_product(struct json_object *value,
                             FALLIBLE (*read)(struct json_object *value, enum snp_product product, void *into, struct err *err),
                             void *into, struct err *err)
{
    if (!json_object_is_type(value, json_type_object))
        return fail_with(err, ERR_MALFORMED, "is no object by product");
    json_object_object_foreach(value, name, member) {
        enum snp_product product = snp_product_by_name(name);

        if (product == SNP_PRODUCT_UNKNOWN)
            return fail_with(err, ERR_MALFORMED, "knows no product \"%s\"", name);
        if (!read(member, product, into, err))
            return context(err, name);
    }
    return true;
}

static FALLIBLE read_tcb(struct json_object *value, enum snp_product product, void *into, struct err *err)
{
    struct snp_tcb_rule *rule = (struct snp_tcb_rule *) into + product;
    const struct { const char *name; uint8_t *component; } rows[] = {
        { "bootloader", &rule->least.bootloader }, { "tee", &rule->least.tee },         { "snp", &rule->least.snp },
        { "microcode", &rule->least.microcode },   { "fmc", &rule->least.fmc },
    };
    size_t wanted = product == SNP_TURIN ? 5 : 4;

    if (!json_object_is_type(value, json_type_object) || json_object_object_length(value) != (int) wanted)
        return fail_with(err, ERR_MALFORMED, "is no object of bootloader, tee, snp, microcode%s",
                         product == SNP_TURIN ? ", fmc" : "");
    for (size_t i = 0; i < wanted; i++) {
        uint64_t number = 0;

        if (!json_get_u64(value, rows[i].name, UINT8_MAX, &number, err))
            return false;
        *rows[i].component = (uint8_t) number;
    }
    rule->is_set = true;
    return true;
}

static FALLIBLE read_crl_number(struct json_object *value, enum snp_product product, void *into, struct err *err)
{
    return read_u64(value, INT64_MAX, (uint64_t *) into + product, err);
}

static FALLIBLE read_element(struct snp_policy_document *d, const char *text, size_t len, struct bytes *out, struct err *err)
{
    AUTO(buffer) struct buffer value = { 0 };

    if (len == 0) { /* text as it is */
        *out = keep(d, bytes_of_text(text));
        return true;
    }
    if (!hex_read(bytes_of_text(text), &value, err))
        return false;
    if (value.len != len)
        return fail_with(err, ERR_MALFORMED, "%zu bytes, wanted %zu", value.len, len);
    *out = keep(d, buffer_bytes(&value));
    return true;
}

/* "any", "zero" or an array; `len` is that of a value, 0 for text. */
static FALLIBLE read_rule(struct snp_policy_document *d, struct json_object *value, size_t len, struct field_rule *out,
                          struct err *err)
{
    const char   *word = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    struct bytes *list;
    size_t        n;

    if (strcmp(word, "any") == 0 || (strcmp(word, "zero") == 0 && len > 0)) {
        *out = (struct field_rule){ .kind = *word == 'a' ? FIELD_ANY : FIELD_ZERO };
        return true;
    }
    if (!json_object_is_type(value, json_type_array))
        return fail_with(err, ERR_MALFORMED, "is neither %s nor an array", len > 0 ? "\"any\", \"zero\"" : "\"any\"");
    n = json_object_array_length(value);
    if (n > LISTED_MAX)
        return fail_with(err, ERR_LIMIT, "lists %zu values; at most %d are allowed", n, LISTED_MAX);
    list                     = zeroed(n, sizeof *list);
    d->lists[d->n_lists++] = list;
    for (size_t i = 0; i < n; i++) {
        const char *text = NULL;

        if (!text_element(value, i, &text, err) || !read_element(d, text, len, &list[i], err))
            return contextf(err, "value %zu", i);
    }
    *out = (struct field_rule){ .kind = FIELD_LISTED, .at = list, .n = n };
    return true;
}

static FALLIBLE read_word(struct json_object *value, const char *const *words, int *out, struct err *err)
{
    const char *word = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0) {
            *out = i;
            return true;
        }
    return fail_with(err, ERR_MALFORMED, "knows no \"%s\"", word);
}

/* Names of an array, each one of `words`; `out[i]` tells whether words[i] is there. */
static FALLIBLE read_words(struct json_object *value, const char *const *words, bool *out, struct err *err)
{
    if (!json_object_is_type(value, json_type_array))
        return fail_with(err, ERR_MALFORMED, "is no array of names");
    for (size_t i = 0; words[i]; i++)
        out[i] = false;
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        int which = 0;

        if (!read_word(json_object_array_get_idx(value, i), words, &which, err))
            return false;
        out[which] = true;
    }
    return true;
}

typedef FALLIBLE member_fn(struct snp_policy_document *d, struct json_object *value, struct err *err);

static FALLIBLE read_versions(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_numbers(value, SNP_VERSION_LEAST, d->policy.versions, SNP_VERSION_MOST + 1, err);
}

static FALLIBLE read_products(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    static const char *const words[] = { "Milan", "Genoa", "Turin", NULL };

    return read_words(value, words, &d->policy.products[SNP_MILAN], err);
}

static FALLIBLE read_signers(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    static const char *const words[] = { "VCEK", "VLEK", NULL };
    bool                     found[2];

    if (!read_words(value, words, found, err))
        return false;
    d->policy.vcek_allowed = found[0];
    d->policy.vlek_allowed = found[1];
    return true;
}

static FALLIBLE read_vmpl(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_numbers(value, 0, d->policy.vmpls, SNP_VMPLS, err);
}

static FALLIBLE read_allow(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    static const char *const words[] = { "masked-chip-id", "migration-agent", "provisional-firmware", NULL };
    bool                     found[3];

    if (!read_words(value, words, found, err))
        return false;
    d->policy.masked_chip_id_allowed  = found[0];
    d->policy.migration_agent_allowed = found[1];
    d->policy.provisional_allowed     = found[2];
    return true;
}

static FALLIBLE read_guest_allow(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_bits(value, grants, &d->policy.grants_allowed, err);
}

static FALLIBLE read_guest_require(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_bits(value, demands, &d->policy.demands_required, err);
}

static FALLIBLE read_least_abi(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    uint8_t v[2];

    if (!read_dotted(value, v, 2, err))
        return false;
    d->policy.least_abi_major = v[0];
    d->policy.least_abi_minor = v[1];
    return true;
}

static FALLIBLE read_platform_require(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_bits(value, features, &d->policy.platform_required, err);
}

static FALLIBLE read_platform_refuse(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_bits(value, features, &d->policy.platform_refused, err);
}

static FALLIBLE read_min_tcb(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return each_product(value, read_tcb, d->policy.least_tcb, err);
}

static FALLIBLE read_min_launch_tcb(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return each_product(value, read_tcb, d->policy.least_launch_tcb, err);
}

static FALLIBLE read_min_tcb_required(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    d->policy.least_tcb_required = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean) || fail_with(err, ERR_MALFORMED, "is neither true nor false");
}

static FALLIBLE read_min_firmware(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    uint8_t v[3];

    if (!read_dotted(value, v, 3, err))
        return false;
    d->policy.least_firmware = (struct snp_firmware){ .major = v[0], .minor = v[1], .build = v[2] };
    return true;
}

static FALLIBLE read_mitigations(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return read_u64(value, UINT64_MAX, &d->policy.mitigations_required, err);
}

static FALLIBLE read_min_guest_svn(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    uint64_t number = 0;

    if (!read_u64(value, UINT32_MAX, &number, err))
        return false;
    d->policy.least_guest_svn = (uint32_t) number;
    return true;
}

static FALLIBLE read_crl(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    static const char *const words[] = { [CRL_REQUIRED] = "require", [CRL_WARNED] = "warn", [CRL_OFF] = "off", NULL };
    int                      which   = CRL_REQUIRED;

    if (!read_word(value, words, &which, err))
        return false;
    d->policy.crl = (enum crl_rule) which;
    return true;
}

static FALLIBLE read_min_crl_number(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    return each_product(value, read_crl_number, d->policy.least_crl_number, err);
}

static FALLIBLE read_skew(struct snp_policy_document *d, struct json_object *value, struct err *err)
{
    uint64_t number = 0;

    if (!read_u64(value, 86400, &number, err))
        return false;
    d->policy.not_before_skew_s = (int64_t) number;
    return true;
}

#define RULE_READER(field, len)                                                                                     \
    static FALLIBLE read_##field(struct snp_policy_document *d, struct json_object *value, struct err *err)       \
    {                                                                                                               \
        return read_rule(d, value, len, &d->policy.field, err);                                                  \
    }
RULE_READER(measurement, SNP_MEASUREMENT_LEN)
RULE_READER(report_data, SNP_REPORT_DATA_LEN)
RULE_READER(host_data, SNP_HOST_DATA_LEN)
RULE_READER(id_key_digest, SNP_KEY_DIGEST_LEN)
RULE_READER(author_key_digest, SNP_KEY_DIGEST_LEN)
RULE_READER(family_id, SNP_ID_LEN)
RULE_READER(image_id, SNP_ID_LEN)
RULE_READER(chip_id, SNP_CHIP_ID_LEN)
RULE_READER(csp_id, 0)

static const struct { const char *name; member_fn *read; } members[] = {
    { "versions", read_versions },
    { "products", read_products },
    { "signers", read_signers },
    { "vmpl", read_vmpl },
    { "allow", read_allow },
    { "guest_policy_allow", read_guest_allow },
    { "guest_policy_require", read_guest_require },
    { "min_abi", read_least_abi },
    { "platform_require", read_platform_require },
    { "platform_refuse", read_platform_refuse },
    { "min_tcb", read_min_tcb },
    { "min_launch_tcb", read_min_launch_tcb },
    { "min_tcb_required", read_min_tcb_required },
    { "min_firmware", read_min_firmware },
    { "mitigations", read_mitigations },
    { "min_guest_svn", read_min_guest_svn },
    { "measurement", read_measurement },
    { "report_data", read_report_data },
    { "host_data", read_host_data },
    { "id_key_digest", read_id_key_digest },
    { "author_key_digest", read_author_key_digest },
    { "family_id", read_family_id },
    { "image_id", read_image_id },
    { "chip_id", read_chip_id },
    { "csp_id", read_csp_id },
    { "crl", read_crl },
    { "min_crl_number", read_min_crl_number },
    { "not_before_skew", read_skew },
};

static FALLIBLE read_member(struct snp_policy_document *d, const char *name, struct json_object *value, struct err *err)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0)
            return members[i].read(d, value, err) || context(err, name);
    return fail_with(err, ERR_MALFORMED, "no member \"%s\" is known", name);
}

FALLIBLE snp_policy_read(struct bytes json, const struct snp_policy *base, struct snp_policy_document **out,
                         struct err *err)
{
    AUTO(json) struct json_object                         *all = NULL;
    AUTO(snp_policy_document) struct snp_policy_document *d   = zeroed(1, sizeof *d);

    d->policy = *base;
    if (!json_read(json, SNP_POLICY_LEN_MAX, &all, err))
        return context(err, "SNP policy");
    if (!json_object_is_type(all, json_type_object))
        return fail_with(err, ERR_MALFORMED, "SNP policy: is no object");
    json_object_object_foreach(all, name, value) {
        if (!read_member(d, name, value, err))
            return context(err, "SNP policy");
    }
    *out = TAKE(d);
    return true;
}
