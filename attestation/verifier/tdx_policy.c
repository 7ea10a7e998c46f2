#include "attestation/verifier/tdx_policy.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

enum { TUD_BITS = 0xff };
static const uint64_t attr_debug           = 1;
static const uint64_t attr_lass            = 1ULL << 27;
static const uint64_t attr_sept_ve_disable = 1ULL << 28;
static const uint64_t attr_migratable      = 1ULL << 29;
static const uint64_t attr_pks             = 1ULL << 30;
static const uint64_t attr_key_locker      = 1ULL << 31;
static const uint64_t attr_perfmon         = 1ULL << 63;
static const uint64_t xfam_known           = 0x0006dbe7; /* [tdx.md 1.8] */
static const uint64_t xfam_always          = 3;          /* x87 and SSE */

static const struct field_row {
    const char         *json;
    size_t              len;
    enum verdict_reason reason;
} fields[N_TDX_FIELDS] = {
#define FIELD_ROW(name, json, len) [TDX_FIELD_##name] = { json, len, REASON_TDX_POLICY_##name },
    TDX_POLICY_FIELDS(FIELD_ROW)
#undef FIELD_ROW
};

void tdx_policy_default(struct tdx_policy *out)
{
    *out = (struct tdx_policy){ .status = { [TCB_UP_TO_DATE] = true } };
}

void tdx_policy_free(struct tdx_policy *p)
{
    for (size_t i = 0; i < N_TDX_FIELDS; i++)
        buffer_free(&p->field[i].values);
}

void tdx_policy_add(struct tdx_policy *p, enum tdx_field field, struct bytes value)
{
    assert(field < N_TDX_FIELDS && value.len == fields[field].len);
    p->field[field].given = true;
    buffer_append(&p->field[field].values, value);
}

/* The texts of an array, one at a time; fails CONFIG for anything else. */
static FALLIBLE text_at(struct json_object *list, size_t i, const char **out, struct err *err)
{
    struct json_object *one = json_object_array_get_idx(list, i);

    if (!json_object_is_type(one, json_type_string))
        return fail_with(err, ERR_CONFIG, "entry %zu is not a text", i);
    *out = json_object_get_string(one);
    return true;
}

static FALLIBLE statuses_read(struct json_object *list, struct tdx_policy *p, struct err *err)
{
    memset(p->status, 0, sizeof p->status);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char     *name = NULL;
        enum tcb_status status;

        if (!text_at(list, i, &name, err))
            return false;
        status = tcb_status_by_name(name);
        if (status == N_TCB_STATUSES || status == TCB_REVOKED)
            return fail_with(err, ERR_CONFIG, "entry %zu is no TCB status that can be accepted", i);
        p->status[status] = true;
    }
    return true;
}

static FALLIBLE values_read(struct json_object *list, enum tdx_field field, struct tdx_policy *p, struct err *err)
{
    p->field[field].given = true;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        uint8_t     value[64];
        const char *hex = NULL;

        if (!text_at(list, i, &hex, err))
            return false;
        if (!hex_read_exact(hex, value, fields[field].len, err))
            return fail_with(err, ERR_CONFIG, "entry %zu is not %zu bytes in hex", i, fields[field].len);
        tdx_policy_add(p, field, (struct bytes){ value, fields[field].len });
    }
    return true;
}

static FALLIBLE list_read(const char *name, struct json_object *list, struct tdx_policy *p, struct err *err)
{
    if (!json_object_is_type(list, json_type_array))
        return fail_with(err, ERR_CONFIG, "a list is wanted");
    if (json_object_array_length(list) > TDX_POLICY_VALUES_MAX)
        return fail_with(err, ERR_CONFIG, "more than %d entries", TDX_POLICY_VALUES_MAX);
    if (strcmp(name, "tcb_status") == 0)
        return statuses_read(list, p, err);
    if (strcmp(name, "advisories") == 0)
        return (advisories_check(list) && advisories_add(&p->advisories, list)) ||
               fail_with(err, ERR_CONFIG, "not %d short texts at most", ADVISORIES_MAX);
    for (unsigned i = 0; i < N_TDX_FIELDS; i++)
        if (strcmp(name, fields[i].json) == 0)
            return values_read(list, (enum tdx_field) i, p, err);
    return fail_with(err, ERR_CONFIG, "no such member");
}

static FALLIBLE member_read(const char *name, struct json_object *value, struct tdx_policy *p, struct err *err)
{
    const struct { const char *name; bool *into; } switches[] = {
        { "allow_mixed_evaluation_numbers", &p->allow_mixed_evaluation_numbers },
        { "allow_trailing_bytes", &p->allow_trailing_bytes },
        { "allow_debug", &p->allow_debug },
        { "allow_sept_ve", &p->allow_sept_ve },
        { "allow_migratable", &p->allow_migratable },
        { "allow_extra_separators", &p->allow_extra_separators },
    };

    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (strcmp(name, switches[i].name) != 0)
            continue;
        if (!json_object_is_type(value, json_type_boolean))
            return fail_with(err, ERR_CONFIG, "true or false is wanted");
        *switches[i].into = json_object_get_boolean(value);
        return true;
    }
    if (strcmp(name, "minimum_evaluation_number") == 0) {
        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
            json_object_get_int64(value) > UINT32_MAX)
            return fail_with(err, ERR_CONFIG, "a number is wanted");
        p->minimum_evaluation_number = (uint32_t) json_object_get_int64(value);
        return true;
    }
    if (strcmp(name, "td_attributes") == 0) {
        uint8_t       bits[8];
        struct reader r = reader_over(BYTES_OF(bits));

        if (!json_object_is_type(value, json_type_string) ||
            !hex_read_exact(json_object_get_string(value), bits, sizeof bits, err))
            return fail_with(err, ERR_CONFIG, "8 bytes in hex are wanted, as they stand in the quote");
        p->td_attributes = take_u64le(&r);
        return reader_done(&r, err);
    }
    return list_read(name, value, p, err);
}

FALLIBLE tdx_policy_read(struct bytes text, struct tdx_policy *out, struct err *err)
{
    AUTO(json) struct json_object *policy = NULL;

    if (!json_read(text, TDX_POLICY_LEN_MAX, &policy, err))
        return context(err, "TDX policy");
    if (!json_object_is_type(policy, json_type_object))
        return fail_with(err, ERR_CONFIG, "TDX policy: an object is wanted");
    json_object_object_foreach(policy, name, value) {
        if (!member_read(name, value, out, err))
            return contextf(err, "TDX policy: %.40s", name);
    }
    return true;
}

static bool value_is_listed(const struct tdx_values *list, struct bytes value)
{
    struct reader r = reader_over(buffer_bytes(&list->values));

    for (size_t n = list->values.len / value.len; n > 0; n--)
        if (bytes_equal(take(&r, value.len), value))
            return true;
    return false;
}

static void field_check(const struct tdx_policy *p, enum tdx_field field, struct bytes found, struct appraisal *a)
{
    if (p->field[field].given)
        check(a, found.len == fields[field].len && value_is_listed(&p->field[field], found), fields[field].reason,
              "%s is one of %zu values", fields[field].json, p->field[field].values.len / fields[field].len);
}

static void attributes_check(const struct tdx_policy *p, uint64_t attributes, struct appraisal *a)
{
    uint64_t usual = attr_lass | attr_sept_ve_disable | attr_migratable | attr_pks | attr_key_locker | attr_perfmon;
    uint64_t tud   = attributes & TUD_BITS & ~attr_debug & ~p->td_attributes;
    uint64_t odd   = attributes & ~usual & ~(uint64_t) TUD_BITS & ~p->td_attributes;

    check(a, p->allow_debug || !(attributes & attr_debug), REASON_TDX_POLICY_DEBUG, "attribute DEBUG (bit 0) is clear");
    check(a, tud == 0, REASON_TDX_POLICY_UNTRUSTED_BITS, "attribute bits 1 to 7 are clear: %#llx",
          (unsigned long long) tud);
    check(a, p->allow_sept_ve || (attributes & attr_sept_ve_disable), REASON_TDX_POLICY_SEPT_VE_DISABLE,
          "attribute SEPT_VE_DISABLE (bit 28) is set");
    check(a, p->allow_migratable || !(attributes & attr_migratable), REASON_TDX_POLICY_MIGRATABLE,
          "attribute MIGRATABLE (bit 29) is clear");
    check(a, odd == 0, REASON_TDX_POLICY_ATTRIBUTES, "no attribute beyond policy's: %#llx", (unsigned long long) odd);
}

static void xfam_check(const struct tdx_policy *p, uint64_t xfam, struct appraisal *a)
{
    uint8_t       raw[8];
    struct writer w = writer_over(raw, sizeof raw);

    put_u64le(&w, xfam);
    check(a, (xfam & xfam_always) == xfam_always && !(xfam & ~xfam_known), REASON_TDX_POLICY_XFAM,
          "XFAM %#llx has x87 and SSE, and nothing unknown", (unsigned long long) xfam);
    field_check(p, TDX_FIELD_XFAM, writer_bytes(&w), a);
}

/* Without a list, none may be bound; a body 1.0, which cannot have one, counts as zero. */
static void service_td_check(const struct tdx_policy *p, struct bytes mrservicetd, struct appraisal *a)
{
    static const uint8_t none[TDX_MR_LEN];
    struct bytes         found = mrservicetd.len > 0 ? mrservicetd : BYTES_OF(none);

    if (p->field[TDX_FIELD_MRSERVICETD].given)
        field_check(p, TDX_FIELD_MRSERVICETD, found, a);
    else
        check(a, bytes_are_zero(found), REASON_TDX_POLICY_MRSERVICETD, "MRSERVICETD is zero: no service TD is bound");
}

void tdx_policy_check(const struct tdx_policy *p, const struct td_body *body, const struct pck_extension *pck,
                      struct appraisal *a)
{
    attributes_check(p, body->td_attributes, a);
    xfam_check(p, body->xfam, a);
    service_td_check(p, body->mrservicetd, a);
    field_check(p, TDX_FIELD_MRTD, body->mrtd, a);
    field_check(p, TDX_FIELD_MRSEAM, body->mrseam, a);
    field_check(p, TDX_FIELD_MRCONFIGID, body->mrconfigid, a);
    field_check(p, TDX_FIELD_MROWNER, body->mrowner, a);
    field_check(p, TDX_FIELD_MROWNERCONFIG, body->mrownerconfig, a);
    for (unsigned i = 0; i < TDX_RTMRS; i++)
        field_check(p, (enum tdx_field) (TDX_FIELD_RTMR0 + i), body->rtmr[i], a);
    field_check(p, TDX_FIELD_REPORT_DATA, body->report_data, a);
    field_check(p, TDX_FIELD_FMSPC, BYTES_OF(pck->fmspc), a);
    field_check(p, TDX_FIELD_PPID, BYTES_OF(pck->ppid), a);
    field_check(p, TDX_FIELD_PLATFORM_INSTANCE,
                pck->has_instance ? BYTES_OF(pck->instance) : (struct bytes){ 0 }, a);
}
