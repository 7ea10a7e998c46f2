#include "guest/container/privileges.h"

#include <string.h>

#include "guest/api/capabilities.h"

static const char *const capabilities[] = { GUEST_CAPABILITIES };

enum { N_CAPABILITIES = sizeof capabilities / sizeof *capabilities };

static bool is_capability(struct json_object *text)
{
    for (size_t i = 0; json_object_is_type(text, json_type_string) && i < N_CAPABILITIES; i++)
        if (strcmp(json_object_get_string(text), capabilities[i]) == 0)
            return true;
    return false;
}

static FALLIBLE check_capabilities(struct json_object *entry, struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, "capabilities", &list))
        return true;
    if (!json_get(entry, "capabilities", json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) > N_CAPABILITIES)
        return fail_with(err, ERR_LIMIT, "capabilities: over %d entries", N_CAPABILITIES);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (!is_capability(json_object_array_get_idx(list, i)))
            return fail_with(err, ERR_MALFORMED, "capabilities: entry %zu is none that a container can have", i);
    return true;
}

static FALLIBLE check_groups(struct json_object *entry, struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, "groups", &list))
        return true;
    if (!json_get(entry, "groups", json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) > USER_GROUPS_MAX)
        return fail_with(err, ERR_LIMIT, "groups: over %d entries", USER_GROUPS_MAX);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *group = json_object_array_get_idx(list, i);
        int64_t             gid   = json_object_is_type(group, json_type_int) ? json_object_get_int64(group) : -1;

        if (gid < 0 || gid >= UINT32_MAX) /* the last means "no group" to the kernel */
            return fail_with(err, ERR_MALFORMED, "groups: entry %zu is no group's number", i);
    }
    return true;
}

FALLIBLE privileges_check(struct json_object *entry, struct err *err)
{
    struct json_object *flag;

    if (json_object_object_get_ex(entry, "not_root", &flag) && !json_object_is_type(flag, json_type_boolean))
        return fail_with(err, ERR_MALFORMED, "not_root: not a boolean");
    return check_capabilities(entry, err) && check_groups(entry, err);
}

struct privileges privileges_of(struct json_object *entry)
{
    return (struct privileges){ json_object_object_get(entry, "capabilities"), json_object_object_get(entry, "groups"),
                                json_object_get_boolean(json_object_object_get(entry, "not_root")) };
}

static bool is_in(const struct user *user, uint32_t gid)
{
    for (size_t i = 0; i < user->n_groups; i++)
        if (user->groups[i] == gid)
            return true;
    return user->gid == gid;
}

FALLIBLE privileges_apply(const struct privileges *privileges, struct user *user, struct err *err)
{
    size_t n = privileges->groups ? json_object_array_length(privileges->groups) : 0;

    if (privileges->not_root && user->uid == 0)
        return fail_with(err, ERR_DENIED, "policy wants a user other than root in this container, and the image has none");
    for (size_t i = 0; i < n; i++) {
        uint32_t gid = (uint32_t) json_object_get_int64(json_object_array_get_idx(privileges->groups, i)); /* checked */

        if (is_in(user, gid))
            continue;
        if (user->n_groups == USER_GROUPS_MAX)
            return fail_with(err, ERR_LIMIT, "the user is in over %d groups", USER_GROUPS_MAX);
        user->groups[user->n_groups++] = gid;
    }
    return true;
}

struct json_object *privileges_capabilities(const struct privileges *privileges)
{
    struct json_object *out = json_object_new_array();

    for (size_t i = 0; i < N_CAPABILITIES; i++) {
        bool   is_kept = !privileges->capabilities;
        size_t n       = privileges->capabilities ? json_object_array_length(privileges->capabilities) : 0;

        for (size_t k = 0; k < n; k++)
            is_kept |= strcmp(json_object_get_string(json_object_array_get_idx(privileges->capabilities, k)), capabilities[i]) == 0;
        if (is_kept)
            json_object_array_add(out, json_object_new_string(capabilities[i]));
    }
    return out;
}
