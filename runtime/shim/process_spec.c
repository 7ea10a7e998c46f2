#include "runtime/shim/process_spec.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/shim/container_rights.h"
#include "runtime/shim/limits.h"
#include "runtime/shim/spec_members.h"

void process_spec_free(struct process_spec *spec)
{
    free(spec->args);
    free(spec->env);
    *spec = (struct process_spec){ 0 };
}

static FALLIBLE read_id(struct json_object *user, const char *name, uint32_t *out, struct err *err)
{
    struct json_object *value;

    if (!spec_member(user, name, json_type_int, &value, err))
        return false;
    int64_t n = value ? json_object_get_int64(value) : 0;
    if (n < 0 || n > UINT32_MAX)
        return fail_with(err, ERR_MALFORMED, "user: %s: no number of a user or group", name);
    *out = (uint32_t) n;
    return true;
}

static FALLIBLE read_user(struct json_object *process, struct process_spec *out, struct err *err)
{
    struct json_object *user;

    if (!spec_member(process, "user", json_type_object, &user, err) || !read_id(user, "uid", &out->uid, err) || !read_id(user, "gid", &out->gid, err))
        return false;
    out->has_user = user != NULL;
    return true;
}

FALLIBLE process_spec_from(struct json_object *process, struct process_spec *out, struct err *err)
{
    struct json_object *terminal;

    if (!spec_member(process, "terminal", json_type_boolean, &terminal, err) ||
        !spec_texts(process, "args", &out->args, &out->n_args, err) ||
        !spec_texts(process, "env", &out->env, &out->n_env, err) || !spec_text(process, "cwd", &out->cwd, err) || !read_user(process, out, err))
        return context(err, "process");
    out->terminal = terminal && json_object_get_boolean(terminal);
    return out->n_args > 0 || fail_with(err, ERR_MALFORMED, "process: no args");
}

FALLIBLE process_spec_read(struct bytes text, struct json_object **document, struct process_spec *out, struct err *err)
{
    AUTO(json) struct json_object *read  = NULL;
    struct process_spec            found = { 0 };

    if (!json_read(text, SHIM_SPEC_MAX, &read, err))
        return context(err, "process");
    if (!json_object_is_type(read, json_type_object))
        return fail_with(err, ERR_MALFORMED, "process: not an object");
    if (!process_spec_from(read, &found, err) || !container_rights_check(read, false, err)) {
        process_spec_free(&found);
        return false;
    }
    *document = TAKE(read);
    *out      = found;
    return true;
}

static bool has(const struct process_spec *spec, const char *variable)
{
    for (size_t i = 0; i < spec->n_env; i++)
        if (strcmp(spec->env[i], variable) == 0)
            return true;
    return false;
}

void process_spec_ask(const struct process_spec *container, const struct process_spec *exec, struct process_room *room,
                      Agent__ExecProcessRequest *request)
{
    request->args     = exec->args;
    request->n_args   = exec->n_args;
    request->terminal = exec->terminal;
    room->env         = calloc(exec->n_env + 1, sizeof *room->env);
    if (!room->env)
        abort();
    if (exec->has_user && (exec->uid != container->uid || exec->gid != container->gid)) {
        (void) snprintf(room->user, sizeof room->user, "%u:%u", exec->uid, exec->gid); /* fits */
        request->user = room->user;
    }
    if (exec->cwd && *exec->cwd && strcmp(exec->cwd, container->cwd ? container->cwd : "/") != 0)
        request->cwd = (char *) (uintptr_t) exec->cwd; /* to the wire only */
    request->env = room->env;
    for (size_t i = 0; i < exec->n_env; i++)
        if (!has(container, exec->env[i]))
            room->env[request->n_env++] = exec->env[i];
}
