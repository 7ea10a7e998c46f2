#include "runtime/shim/invocation.h"

#include <stddef.h>
#include <string.h>

#include "runtime/shim/limits.h"

static const struct action_row { const char *word; enum invocation_action action; } actions[] = {
    { "start", INVOCATION_START },
    { "delete", INVOCATION_DELETE },
    { "sweep", INVOCATION_SWEEP },
    { "features", INVOCATION_FEATURES },
};

/* Flags that are an action of their own. */
static const struct action_row action_flags[] = {
    { "info", INVOCATION_INFO },       { "v", INVOCATION_VERSION }, { "version", INVOCATION_VERSION },
    { "help", INVOCATION_HELP },       { "h", INVOCATION_HELP },
};

static const struct value_row { const char *flag; size_t at; } values[] = {
    { "namespace", offsetof(struct invocation, namespace) },
    { "id", offsetof(struct invocation, id) },
    { "address", offsetof(struct invocation, address) },
    { "publish-binary", offsetof(struct invocation, publish_binary) },
    { "bundle", offsetof(struct invocation, bundle) },
};

static const char **value_of(struct invocation *i, const char *flag, size_t len)
{
    for (size_t row = 0; row < sizeof values / sizeof *values; row++)
        if (strncmp(values[row].flag, flag, len) == 0 && values[row].flag[len] == 0)
            return (const char **) (void *) ((char *) i + values[row].at);
    return NULL;
}

/* What may become part of a message, of a hash or of a guest's id; engines are stricter. */
static FALLIBLE check_name(const char *what, const char *name, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t            len       = strnlen(name, SHIM_ID_MAX + 1);

    if (len > 0 && len <= SHIM_ID_MAX && strspn(name, letters) == len && *name != '.' && *name != '-')
        return true;
    return fail_with(err, ERR_CONFIG, "-%s: wanted 1 to %d letters, digits and ._-", what, SHIM_ID_MAX);
}

static FALLIBLE take_flag(int argc, char **argv, int *at, struct invocation *out, bool *is_action, struct err *err)
{
    const char  *flag = argv[*at] + (argv[*at][1] == '-' ? 2 : 1);
    size_t       len  = strcspn(flag, "=");
    const char **into = value_of(out, flag, len);

    if (strcmp(flag, "debug") == 0) {
        out->debug = true;
        return true;
    }
    for (size_t i = 0; i < sizeof action_flags / sizeof *action_flags; i++)
        if (strcmp(action_flags[i].word, flag) == 0) {
            out->action = action_flags[i].action;
            *is_action  = true;
            return true;
        }
    if (!into)
        return fail_with(err, ERR_CONFIG, "unknown flag %.40s; see -help", argv[*at]);
    if (flag[len] == '=')
        *into = flag + len + 1;
    else if (*at + 1 < argc)
        *into = argv[++*at];
    else
        return fail_with(err, ERR_CONFIG, "%.40s: a value is wanted", argv[*at]);
    return true;
}

FALLIBLE invocation_read(int argc, char **argv, struct invocation *out, struct err *err)
{
    struct invocation found = { .namespace = "", .id = "", .address = "", .publish_binary = "", .bundle = "" };
    bool              has_action = false;

    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            if (!take_flag(argc, argv, &i, &found, &has_action, err))
                return false;
            continue;
        }
        size_t row = 0;
        while (row < sizeof actions / sizeof *actions && strcmp(actions[row].word, argv[i]) != 0)
            row++;
        if (row == sizeof actions / sizeof *actions)
            return fail_with(err, ERR_CONFIG, "unknown action %.40s: start, delete, sweep or features is wanted", argv[i]);
        found.action = actions[row].action;
        has_action   = true;
    }
    if (!has_action)
        return fail_with(err, ERR_CONFIG, "an action is wanted: start or delete; an engine gives it");
    if ((found.action == INVOCATION_START || found.action == INVOCATION_DELETE) &&
        (!check_name("namespace", found.namespace, err) || !check_name("id", found.id, err)))
        return false;
    *out = found;
    return true;
}
