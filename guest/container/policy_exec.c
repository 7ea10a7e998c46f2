#include "guest/container/policy_exec.h"

#include <string.h>

#include "guest/container/limits.h"
#include "guest/container/policy_volumes.h"

static FALLIBLE check_argv(struct json_object *argv, struct err *err)
{
    if (!json_object_is_type(argv, json_type_array) || json_object_array_length(argv) == 0)
        return fail_with(err, ERR_MALFORMED, "no argv");
    return policy_check_texts(argv, "args", err);
}

static FALLIBLE check_row(struct json_object *row, struct err *err)
{
    static const char *const known[] = { "args", "user", "cwd", "env", NULL };
    struct json_object      *env     = NULL;
    const char              *user = "0:0", *cwd = "/";

    if (!json_object_is_type(row, json_type_object))
        return check_argv(row, err);
    if (!json_only(row, known, err) || !check_argv(json_object_object_get(row, "args"), err) ||
        (json_has(row, "user") && !json_get_text(row, "user", &user, err)) || (json_has(row, "cwd") && !json_get_text(row, "cwd", &cwd, err)) ||
        (json_has(row, "env") && !json_get(row, "env", json_type_array, &env, err)))
        return false;
    if (strspn(user, "0123456789:") != strlen(user) || !strchr(user, ':') || strchr(user, ':') != strrchr(user, ':'))
        return fail_with(err, ERR_MALFORMED, "user: UID:GID is wanted");
    if (*cwd != '/')
        return fail_with(err, ERR_MALFORMED, "cwd: an absolute path is wanted");
    return !env || policy_check_texts(env, "env", err);
}

FALLIBLE policy_check_exec(struct json_object *entry, struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, "exec", NULL))
        return true;
    if (!json_get(entry, "exec", json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) > POLICY_EXECS_MAX)
        return fail_with(err, ERR_LIMIT, "exec: over %d argvs", POLICY_EXECS_MAX);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (!check_row(json_object_array_get_idx(list, i), err))
            return contextf(err, "exec: entry %zu", i);
    return true;
}

static bool is_of_a_terminal(const struct exec_wish *wish, const char *variable)
{
    return wish->terminal && strcmp(variable, "TERM=xterm") == 0;
}

bool exec_wish_is_special(const struct exec_wish *wish)
{
    for (size_t i = 0; i < wish->n_env; i++)
        if (!is_of_a_terminal(wish, wish->env[i]))
            return true;
    return (wish->user && *wish->user) || (wish->cwd && *wish->cwd);
}

static bool same(struct json_object *row, const char *name, const char *asked)
{
    const char *wanted = json_object_get_string(json_object_object_get(row, name));

    return strcmp(wanted ? wanted : "", asked ? asked : "") == 0;
}

/* All of the row's are asked for, and no other; in any order. */
static bool same_env(struct json_object *list, const struct exec_wish *wish)
{
    size_t n = 0, n_wanted = list ? json_object_array_length(list) : 0;

    for (size_t i = 0; i < wish->n_env; i++) {
        bool is_listed = false;

        if (is_of_a_terminal(wish, wish->env[i]))
            continue;
        for (size_t k = 0; k < n_wanted && !is_listed; k++)
            is_listed = policy_text_is(json_object_array_get_idx(list, k), wish->env[i]);
        for (size_t k = 0; k < i; k++)
            is_listed = is_listed && strcmp(wish->env[k], wish->env[i]) != 0;
        if (!is_listed)
            return false;
        n++;
    }
    return n == n_wanted;
}

bool policy_exec_lists(struct json_object *list, const struct exec_wish *wish)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *row = json_object_array_get_idx(list, i);

        if (json_object_is_type(row, json_type_array) ? !exec_wish_is_special(wish) && policy_texts_equal(row, wish->args, wish->n_args)
                                                      : policy_texts_equal(json_object_object_get(row, "args"), wish->args, wish->n_args) &&
                                                            same(row, "user", wish->user) && same(row, "cwd", wish->cwd) &&
                                                            same_env(json_object_object_get(row, "env"), wish))
            return true;
    }
    return false;
}
