#include "attestation/verifier/tpm_policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void tpm_policy_free(struct tpm_policy *p)
{
    buffer_free(&p->values);
    buffer_free(&p->ak_names);
}

size_t tpm_policy_n_values(const struct tpm_policy *p)
{
    return p->values.len / sizeof(struct tpm_pcr_value);
}

struct tpm_pcr_value tpm_policy_value(const struct tpm_policy *p, size_t i)
{
    struct tpm_pcr_value v;

    memcpy(&v, p->values.at + i * sizeof v, sizeof v); /* our own bytes, never a peer's */
    return v;
}

bool tpm_policy_allows_name(const struct tpm_policy *p, struct bytes name)
{
    struct reader r = reader_over(buffer_bytes(&p->ak_names));

    while (!r.failed && r.left.len > 0)
        if (bytes_equal(take(&r, take_u8(&r)), name))
            return true;
    return false;
}

/* A PCR number as a JSON number or, where it is a member's name, as text. */
static bool pcr_of_text(const char *text, uint8_t *out)
{
    char         *end  = NULL;
    unsigned long read = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != 0 || read >= TPM_PCRS)
        return false;
    *out = (uint8_t) read;
    return true;
}

static FALLIBLE pcr_list_read(struct json_object *list, uint32_t *out, struct err *err)
{
    *out = 0;
    if (!json_object_is_type(list, json_type_array))
        return fail_with(err, ERR_CONFIG, "a list of PCR numbers is wanted");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        int64_t             pcr = json_object_is_type(one, json_type_int) ? json_object_get_int64(one) : -1;

        if (pcr < 0 || pcr >= TPM_PCRS)
            return fail_with(err, ERR_CONFIG, "entry %zu is no PCR number", i);
        *out |= 1U << pcr;
    }
    return true;
}

static FALLIBLE selection_read(struct json_object *from, struct tpm_policy *p, struct err *err)
{
    if (!json_object_is_type(from, json_type_object))
        return fail_with(err, ERR_CONFIG, "an object of banks is wanted");
    json_object_object_foreach(from, bank, list) {
        const struct tpm_hash *hash = tpm_hash_by_name(bank);

        if (!hash || p->n_selections == TPM_SELECTIONS_MAX)
            return fail_with(err, ERR_CONFIG, "no such bank");
        p->selection[p->n_selections].hash = hash->id;
        if (!pcr_list_read(list, &p->selection[p->n_selections++].pcrs, err))
            return false;
    }
    p->has_selection = true;
    return true;
}

static FALLIBLE values_of_pcr_read(struct json_object *list, struct tpm_pcr_value v, struct tpm_policy *p,
                                   struct err *err)
{
    const struct tpm_hash *hash = tpm_hash_by_id(v.hash);

    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0)
        return fail_with(err, ERR_CONFIG, "PCR %u: a list of values is wanted", v.pcr);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);

        if (!json_object_is_type(one, json_type_string) ||
            !hex_read_exact(json_object_get_string(one), v.value, hash->len, err))
            return fail_with(err, ERR_CONFIG, "PCR %u: entry %zu is not %zu bytes in hex", v.pcr, i, hash->len);
        if (tpm_policy_n_values(p) == TPM_POLICY_VALUES_MAX)
            return fail_with(err, ERR_CONFIG, "more than %d values", TPM_POLICY_VALUES_MAX);
        buffer_append(&p->values, (struct bytes){ (const uint8_t *) &v, sizeof v });
    }
    return true;
}

static FALLIBLE pcrs_read(struct json_object *from, struct tpm_policy *p, struct err *err)
{
    if (!json_object_is_type(from, json_type_object))
        return fail_with(err, ERR_CONFIG, "an object of banks is wanted");
    json_object_object_foreach(from, bank, registers) {
        const struct tpm_hash *hash = tpm_hash_by_name(bank);

        if (!hash || !json_object_is_type(registers, json_type_object))
            return fail_with(err, ERR_CONFIG, "no such bank, or no object of PCRs");
        json_object_object_foreach(registers, index, list) {
            struct tpm_pcr_value v = { .hash = hash->id };

            if (!pcr_of_text(index, &v.pcr))
                return fail_with(err, ERR_CONFIG, "no PCR number");
            if (!values_of_pcr_read(list, v, p, err))
                return false;
        }
    }
    return true;
}

static FALLIBLE names_read(struct json_object *list, struct tpm_policy *p, struct err *err)
{
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > TPM_POLICY_VALUES_MAX)
        return fail_with(err, ERR_CONFIG, "a list of at most %d names is wanted", TPM_POLICY_VALUES_MAX);
    p->has_ak_names = true;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object        *one  = json_object_array_get_idx(list, i);
        AUTO(buffer) struct buffer name = { 0 };

        if (!json_object_is_type(one, json_type_string) ||
            !hex_read(bytes_of_text(json_object_get_string(one)), &name, err) || name.len < 2 ||
            name.len > TPM_NAME_LEN_MAX)
            return fail_with(err, ERR_CONFIG, "entry %zu is not a TPM name in hex", i);

        const uint8_t len = (uint8_t) name.len;

        buffer_append(&p->ak_names, (struct bytes){ &len, 1 });
        buffer_append(&p->ak_names, buffer_bytes(&name));
    }
    return true;
}

static FALLIBLE member_read(const char *name, struct json_object *value, struct tpm_policy *p, struct err *err)
{
    const struct { const char *name; bool *into; } switches[] = {
        { "allow_sha1", &p->allow_sha1 },
        { "allow_unsafe_clock", &p->allow_unsafe_clock },
        { "allow_event_separators", &p->allow_event_separators },
        { "allow_event_data", &p->allow_event_data },
    };

    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (strcmp(name, switches[i].name) != 0)
            continue;
        if (!json_object_is_type(value, json_type_boolean))
            return fail_with(err, ERR_CONFIG, "true or false is wanted");
        *switches[i].into = json_object_get_boolean(value);
        return true;
    }
    if (strcmp(name, "unlogged_pcrs") == 0)
        return pcr_list_read(value, &p->unlogged_pcrs, err);
    if (strcmp(name, "selection") == 0)
        return selection_read(value, p, err);
    if (strcmp(name, "pcrs") == 0)
        return pcrs_read(value, p, err);
    if (strcmp(name, "ak_names") == 0)
        return names_read(value, p, err);
    return fail_with(err, ERR_CONFIG, "no such member");
}

FALLIBLE tpm_policy_read(struct bytes text, struct tpm_policy *out, struct err *err)
{
    AUTO(json) struct json_object *policy = NULL;

    if (!json_read(text, TPM_POLICY_LEN_MAX, &policy, err))
        return context(err, "TPM policy");
    if (!json_object_is_type(policy, json_type_object))
        return fail_with(err, ERR_CONFIG, "TPM policy: an object is wanted");
    json_object_object_foreach(policy, name, value) {
        if (!member_read(name, value, out, err))
            return contextf(err, "TPM policy: %.40s", name);
    }
    return true;
}
