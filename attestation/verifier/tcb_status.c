#include "attestation/verifier/tcb_status.h"

#include <string.h>

#define TCB_STATUS_NAME(name, text) [TCB_##name] = text,
static const char *const names[N_TCB_STATUSES] = { TCB_STATUSES(TCB_STATUS_NAME) };
#undef TCB_STATUS_NAME

const char *tcb_status_name(enum tcb_status status)
{
    return status < N_TCB_STATUSES ? names[status] : "unknown";
}

enum tcb_status tcb_status_by_name(const char *name)
{
    for (unsigned i = 0; i < N_TCB_STATUSES; i++)
        if (strcmp(names[i], name) == 0)
            return (enum tcb_status) i;
    return N_TCB_STATUSES;
}

bool advisories_have(const struct advisories *set, const char *id)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->id[i], id) == 0)
            return true;
    return false;
}

static bool is_advisory(struct json_object *id)
{
    const char *text = json_object_is_type(id, json_type_string) ? json_object_get_string(id) : "";
    size_t      len  = strlen(text);

    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return len > 0 && len <= ADVISORY_LEN_MAX;
}

bool advisories_check(struct json_object *ids)
{
    if (!ids)
        return true;
    if (!json_object_is_type(ids, json_type_array) || json_object_array_length(ids) > ADVISORIES_MAX)
        return false;
    for (size_t i = 0; i < json_object_array_length(ids); i++)
        if (!is_advisory(json_object_array_get_idx(ids, i)))
            return false;
    return true;
}

bool advisories_add(struct advisories *set, struct json_object *ids)
{
    for (size_t i = 0; ids && i < json_object_array_length(ids); i++) {
        const char *id = json_object_get_string(json_object_array_get_idx(ids, i));

        if (advisories_have(set, id))
            continue;
        if (set->n == ADVISORIES_MAX || strlen(id) > ADVISORY_LEN_MAX)
            return false;
        memcpy(set->id[set->n++], id, strlen(id) + 1);
    }
    return true;
}

enum tcb_status tcb_status_converge(enum tcb_status platform, enum tcb_status module, enum tcb_status qe)
{
    if (platform == TCB_REVOKED || module == TCB_REVOKED || qe == TCB_REVOKED)
        return TCB_REVOKED;
    if (module != TCB_OUT_OF_DATE && qe != TCB_OUT_OF_DATE)
        return platform;
    if (platform == TCB_UP_TO_DATE || platform == TCB_SW_HARDENING_NEEDED)
        return TCB_OUT_OF_DATE;
    if (platform == TCB_CONFIGURATION_NEEDED || platform == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED)
        return TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
    return platform;
}

static bool mentions_configuration(enum tcb_status s)
{
    return s == TCB_CONFIGURATION_NEEDED || s == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED ||
           s == TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

enum tcb_status tcb_status_relaunch(enum tcb_status launch, enum tcb_status current)
{
    if (current == TCB_REVOKED)
        return TCB_REVOKED;
    if (launch != TCB_OUT_OF_DATE && launch != TCB_OUT_OF_DATE_CONFIGURATION_NEEDED)
        return launch;
    if (current == TCB_OUT_OF_DATE || current == TCB_OUT_OF_DATE_CONFIGURATION_NEEDED)
        return launch;
    return mentions_configuration(launch) || mentions_configuration(current)
               ? TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
               : TCB_RELAUNCH_ADVISED;
}
