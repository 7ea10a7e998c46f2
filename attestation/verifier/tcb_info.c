#include "attestation/verifier/tcb_info.h"

#include <stdlib.h>
#include <string.h>

#include "attestation/verifier/instant.h"
#include "attestation/verifier/signed_json.h"
#include "base/text.h"

enum { TCB_INFO_VERSION = 3 };

void tcb_info_free(struct tcb_info *t)
{
    if (t->document)
        json_object_put(t->document);
    t->document = NULL;
}

FALLIBLE hex_member_read(struct json_object *from, const char *name, uint8_t *out, size_t len, struct err *err)
{
    const char *text = NULL;

    if (!json_get_text(from, name, &text, err))
        return false;
    return hex_read_exact(text, out, len, err) || context(err, name);
}

static FALLIBLE date_read(struct json_object *from, const char *name, int64_t *out, struct err *err)
{
    const char *text = NULL;

    if (!json_get_text(from, name, &text, err))
        return false;
    return instant_of_text(bytes_of_text(text), out) || fail_with(err, ERR_MALFORMED, "%s is not a date", name);
}

FALLIBLE validity_read(struct json_object *from, int64_t *issued, int64_t *next_update, uint32_t *evaluation_number,
                       struct err *err)
{
    uint64_t number = 0;

    if (!date_read(from, "issueDate", issued, err) || !date_read(from, "nextUpdate", next_update, err) ||
        !json_get_u64(from, "tcbEvaluationDataNumber", UINT32_MAX, &number, err))
        return false;
    *evaluation_number = (uint32_t) number;
    return *issued <= *next_update || fail_with(err, ERR_MALFORMED, "nextUpdate is before issueDate");
}

/* Status, date and advisories, which every kind of level has. */
static FALLIBLE outcome_read(struct json_object *level, enum tcb_status *status, int64_t *date,
                             struct json_object **advisories, struct err *err)
{
    const char *text = NULL;

    if (!json_get_text(level, "tcbStatus", &text, err) || !date_read(level, "tcbDate", date, err))
        return false;
    *status = tcb_status_by_name(text);
    if (*status == N_TCB_STATUSES || *status == TCB_RELAUNCH_ADVISED ||
        *status == TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED)
        return fail_with(err, ERR_MALFORMED, "tcbStatus is not one that a level may have");
    *advisories = json_has(level, "advisoryIDs") ? json_object_object_get(level, "advisoryIDs") : NULL;
    return advisories_check(*advisories) || fail_with(err, ERR_MALFORMED, "advisoryIDs are not %d short texts at most",
                                                      ADVISORIES_MAX);
}

static int by_isv_svn(const void *a, const void *b)
{
    const struct isv_level *x = a, *y = b;

    return (x->isv_svn < y->isv_svn) - (x->isv_svn > y->isv_svn);
}

static FALLIBLE isv_level_read(struct json_object *from, struct isv_level *out, struct err *err)
{
    struct json_object *tcb = NULL;
    uint64_t            svn = 0;

    if (!json_get(from, "tcb", json_type_object, &tcb, err) || !json_get_u64(tcb, "isvsvn", UINT16_MAX, &svn, err) ||
        !outcome_read(from, &out->status, &out->date, &out->advisories, err))
        return false;
    out->isv_svn = (uint16_t) svn;
    return out->status == TCB_UP_TO_DATE || out->status == TCB_OUT_OF_DATE || out->status == TCB_REVOKED ||
           fail_with(err, ERR_MALFORMED, "tcbStatus %s is not for a module or enclave", tcb_status_name(out->status));
}

FALLIBLE isv_levels_read(struct json_object *from, struct isv_levels *out, struct err *err)
{
    struct json_object *list = NULL;

    if (!json_get(from, "tcbLevels", json_type_array, &list, err))
        return false;
    out->n = json_object_array_length(list);
    if (out->n > MODULE_LEVELS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu tcbLevels; at most %d are allowed", out->n, MODULE_LEVELS_MAX);
    for (size_t i = 0; i < out->n; i++)
        if (!isv_level_read(json_object_array_get_idx(list, i), &out->at[i], err))
            return contextf(err, "tcbLevels[%zu]", i);
    if (out->n > 0)
        qsort(out->at, out->n, sizeof out->at[0], by_isv_svn);
    return true;
}

static FALLIBLE module_read(struct json_object *from, struct tdx_module *out, struct err *err)
{
    return hex_member_read(from, "mrsigner", out->mrsigner, sizeof out->mrsigner, err) &&
           hex_member_read(from, "attributes", out->attributes, sizeof out->attributes, err) &&
           hex_member_read(from, "attributesMask", out->mask, sizeof out->mask, err);
}

/* "TDX_01", in either letter case. */
static FALLIBLE module_id_read(struct json_object *from, uint8_t *version, struct err *err)
{
    const char *id = NULL;

    if (!json_get_text(from, "id", &id, err))
        return false;
    if (strlen(id) != 6 || strncasecmp(id, "TDX_", 4) != 0)
        return fail_with(err, ERR_MALFORMED, "id is not TDX_ and two hex digits");
    return hex_read_exact(id + 4, version, 1, err) || context(err, "id");
}

static FALLIBLE modules_read(struct json_object *from, struct tcb_info *t, struct err *err)
{
    struct json_object *module = NULL, *list = NULL;

    if (!json_get(from, "tdxModule", json_type_object, &module, err) || !module_read(module, &t->module, err))
        return context(err, "tdxModule");
    if (!json_has(from, "tdxModuleIdentities"))
        return true;
    if (!json_get(from, "tdxModuleIdentities", json_type_array, &list, err))
        return false;
    t->n_modules = json_object_array_length(list);
    if (t->n_modules > TDX_MODULES_MAX)
        return fail_with(err, ERR_LIMIT, "%zu TDX modules; at most %d are allowed", t->n_modules, TDX_MODULES_MAX);
    for (size_t i = 0; i < t->n_modules; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);

        if (!module_id_read(one, &t->modules[i].version, err) || !module_read(one, &t->modules[i], err) ||
            !isv_levels_read(one, &t->modules[i].levels, err))
            return contextf(err, "tdxModuleIdentities[%zu]", i);
        for (size_t j = 0; j < i; j++)
            if (t->modules[j].version == t->modules[i].version)
                return fail_with(err, ERR_MALFORMED, "two identities of TDX module %u", t->modules[i].version);
    }
    return true;
}

static FALLIBLE components_read(struct json_object *tcb, const char *name, uint8_t out[static TCB_COMPONENTS],
                                struct err *err)
{
    struct json_object *list = NULL;

    if (!json_get(tcb, name, json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) != TCB_COMPONENTS)
        return fail_with(err, ERR_MALFORMED, "%zu %s; there are always %d", json_object_array_length(list), name,
                         TCB_COMPONENTS);
    for (size_t i = 0; i < TCB_COMPONENTS; i++) {
        uint64_t svn = 0;

        if (!json_get_u64(json_object_array_get_idx(list, i), "svn", UINT8_MAX, &svn, err))
            return contextf(err, "%s[%zu]", name, i);
        out[i] = (uint8_t) svn;
    }
    return true;
}

static FALLIBLE level_read(struct json_object *from, struct tcb_level *out, struct err *err)
{
    struct json_object *tcb    = NULL;
    uint64_t            pcesvn = 0;

    if (!json_get(from, "tcb", json_type_object, &tcb, err) ||
        !components_read(tcb, "sgxtcbcomponents", out->sgx, err) ||
        !json_get_u64(tcb, "pcesvn", UINT16_MAX, &pcesvn, err) ||
        !components_read(tcb, "tdxtcbcomponents", out->tdx, err))
        return false;
    out->pcesvn = (uint16_t) pcesvn;
    return outcome_read(from, &out->status, &out->date, &out->advisories, err);
}

/* Descending by SGX components, then PCESVN, then TDX components. [TDX-DCAP 4.1.2.3] */
static int by_components(const void *a, const void *b)
{
    const struct tcb_level *x = a, *y = b;
    int                     sgx = memcmp(y->sgx, x->sgx, sizeof x->sgx);

    if (sgx != 0)
        return sgx;
    if (x->pcesvn != y->pcesvn)
        return x->pcesvn < y->pcesvn ? 1 : -1;
    return memcmp(y->tdx, x->tdx, sizeof x->tdx);
}

static FALLIBLE levels_read(struct json_object *from, struct tcb_info *t, struct err *err)
{
    struct json_object *list = NULL;

    if (!json_get(from, "tcbLevels", json_type_array, &list, err))
        return false;
    t->n_levels = json_object_array_length(list);
    if (t->n_levels > TCB_LEVELS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu tcbLevels; at most %d are allowed", t->n_levels, TCB_LEVELS_MAX);
    for (size_t i = 0; i < t->n_levels; i++)
        if (!level_read(json_object_array_get_idx(list, i), &t->levels[i], err))
            return contextf(err, "tcbLevels[%zu]", i);
    if (t->n_levels > 0)
        qsort(t->levels, t->n_levels, sizeof t->levels[0], by_components);
    return true;
}

static FALLIBLE head_read(struct json_object *from, struct tcb_info *t, struct err *err)
{
    const char *id      = NULL;
    uint64_t    version = 0, type = 0;

    if (!json_get_text(from, "id", &id, err) || !json_get_u64(from, "version", UINT32_MAX, &version, err))
        return false;
    if (version != TCB_INFO_VERSION)
        return fail_with(err, ERR_UNSUPPORTED, "version %lu; only 3 is", (unsigned long) version);
    if (strlen(id) >= sizeof t->id)
        return fail_with(err, ERR_LIMIT, "id of %zu characters", strlen(id));
    memcpy(t->id, id, strlen(id) + 1);
    if (!json_get_u64(from, "tcbType", UINT32_MAX, &type, err))
        return false;
    if (type != 0)
        return fail_with(err, ERR_UNSUPPORTED, "tcbType %lu; only 0 is", (unsigned long) type);
    return validity_read(from, &t->issued, &t->next_update, &t->evaluation_number, err) &&
           hex_member_read(from, "fmspc", t->fmspc, sizeof t->fmspc, err) &&
           hex_member_read(from, "pceId", t->pceid, sizeof t->pceid, err);
}

FALLIBLE tcb_info_read(struct bytes body, struct tcb_info *out, struct err *err)
{
    if (!json_read(body, SIGNED_JSON_LEN_MAX, &out->document, err))
        return context(err, "TCB info");
    if (!head_read(out->document, out, err))
        return context(err, "TCB info");
    if (strcmp(out->id, "TDX") == 0 && !modules_read(out->document, out, err)) /* an SGX one has no TDX members */
        return context(err, "TCB info");
    if (strcmp(out->id, "TDX") == 0 && !levels_read(out->document, out, err))
        return context(err, "TCB info");
    return true;
}
