#include "guest/container/policy.h"

#include <string.h>

#include "base/ossl.h"
#include "base/text.h"
#include "guest/container/limits.h"
#include "keys/api/rcar.h"
#include "guest/container/policy_volumes.h"
#include "keys/ocicrypt/reference.h"

#define SYSCTL_FIELD "sysctl"

FALLIBLE policy_check_texts(struct json_object *list, const char *name, struct err *err)
{
    size_t n = json_object_array_length(list);

    if (n > CONTAINER_ARGS_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d entries", name, CONTAINER_ARGS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string))
            return fail_with(err, ERR_MALFORMED, "%s: entry %zu is not a string", name, i);
    return true;
}

static bool flag(struct json_object *entry, const char *name)
{
    return json_object_get_boolean(json_object_object_get(entry, name));
}

FALLIBLE policy_check_flag(struct json_object *entry, const char *name, struct err *err)
{
    struct json_object *value;

    if (!json_object_object_get_ex(entry, name, &value) || json_object_is_type(value, json_type_boolean))
        return true;
    return fail_with(err, ERR_MALFORMED, "%s: not a boolean", name);
}

/* A name must be written in its one form: it is compared as a text. */
static FALLIBLE check_image(const char *image, struct err *err)
{
    static const char      prefix[] = "sha256:";
    struct image_reference name;

    if (strncmp(image, prefix, sizeof prefix - 1) == 0 && strlen(image) == sizeof prefix - 1 + 64 &&
        strspn(image + sizeof prefix - 1, "0123456789abcdef") == 64)
        return true;
    if (strchr(image, '/') && image_reference_read(bytes_of_text(image), &name, err) && name.registry[0] && name.has_tag &&
        !name.has_digest && strcmp(image_reference_text(&name).at, image) == 0)
        return true;
    return fail_with(err, ERR_MALFORMED, "image: neither \"sha256:\" and 64 hex digits, nor REGISTRY/REPOSITORY:TAG");
}

static FALLIBLE check_optional_texts(struct json_object *entry, const char *name, struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, name, &list))
        return true;
    return json_get(entry, name, json_type_array, &list, err) && policy_check_texts(list, name, err);
}

static FALLIBLE check_optional_text(struct json_object *entry, const char *name, struct err *err)
{
    struct json_object *value;
    const char         *text;

    if (!json_object_object_get_ex(entry, name, &value))
        return true;
    return json_get_text(entry, name, &text, err) &&
           (*text || fail_with(err, ERR_MALFORMED, "%s: empty", name));
}

static FALLIBLE check_disk(struct json_object *disk, struct err *err)
{
    static const char *const known[] = { "path", "volume", "key", "read_only", "format", NULL };
    const char              *path, *volume, *key, *of_broker;

    if (!json_only(disk, known, err) || !json_get_text(disk, "path", &path, err) ||
        !volume_path_check(path, err) || !json_get_text(disk, "volume", &volume, err) || !volume_disk_name_check(volume, err) ||
        !json_get_text(disk, "key", &key, err) || !rcar_path_of_uri(key, &of_broker, err) || !policy_check_flag(disk, "read_only", err) ||
        !policy_check_flag(disk, "format", err))
        return false;
    return !flag(disk, "read_only") || !flag(disk, "format") || fail_with(err, ERR_MALFORMED, "format: what is read-only cannot be formatted");
}

static FALLIBLE check_objects(struct json_object *entry, const char *name, size_t most,
                              bool (*check)(struct json_object *, struct err *), struct err *err)
{
    struct json_object *list;

    if (!json_object_object_get_ex(entry, name, &list))
        return true;
    if (!json_get(entry, name, json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) > most)
        return fail_with(err, ERR_LIMIT, "%s: over %zu entries", name, most);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (!check(json_object_array_get_idx(list, i), err))
            return contextf(err, "%s: entry %zu", name, i);
    return true;
}

static FALLIBLE check_entry(struct json_object *entry, struct err *err)
{
    static const char *const known[] = { "image",   "args",      "env",  "output", "input",         "terminal", "exec",
                                         "command", "env_names", "user", "cwd",    "read_only_root", "update", "capabilities", "groups", "not_root",
                                         "resources", "token", "evidence", "measure", "sealed", "sealed_unsigned", "files", "empty_directories", "termination_log", "volumes",
                                         "share_processes", "masked_paths", "readonly_paths", "sysctls", NULL };
    struct json_object      *args = NULL, *env = NULL;
    const char              *image;

    if (!json_object_is_type(entry, json_type_object))
        return fail_with(err, ERR_MALFORMED, "not an object");
    if (!json_only(entry, known, err) ||
        !json_get_text(entry, "image", &image, err) || !check_image(image, err))
        return false;
    if (!json_object_object_get_ex(entry, "args", &args))
        return fail_with(err, ERR_MALFORMED, "args: missing; null is the image's own command");
    if (args && (!json_get(entry, "args", json_type_array, &args, err) || !policy_check_texts(args, "args", err)))
        return false;
    return json_get(entry, "env", json_type_array, &env, err) && policy_check_texts(env, "env", err) &&
           policy_check_flag(entry, "output", err) && policy_check_flag(entry, "input", err) &&
           policy_check_flag(entry, "terminal", err) && policy_check_flag(entry, "update", err) &&
           policy_check_flag(entry, "read_only_root", err) && policy_check_flag(entry, "share_processes", err) && policy_check_exec(entry, err) &&
           policy_check_flag(entry, "token", err) && policy_check_flag(entry, "evidence", err) && policy_check_flag(entry, "measure", err) &&
           policy_check_flag(entry, "sealed_unsigned", err) && check_optional_texts(entry, "sealed", err) &&
           check_optional_texts(entry, "resources", err) && check_optional_texts(entry, "command", err) && check_optional_texts(entry, "env_names", err) &&
           check_optional_text(entry, "user", err) && check_optional_text(entry, "cwd", err) && privileges_check(entry, err) &&
           check_objects(entry, "files", VOLUME_FILES_MAX, policy_check_file, err) &&
           check_objects(entry, "empty_directories", VOLUME_DIRECTORIES_MAX, policy_check_directory, err) &&
           policy_check_termination_log(entry, err) && hidden_paths_check_entry(entry, err) && pod_sysctls_check_entry(entry, err) &&
           check_objects(entry, "volumes", VOLUME_DISKS_MAX, check_disk, err);
}

FALLIBLE policy_read(struct bytes text, struct policy *out, struct err *err)
{
    static const char *const        known[]  = { "containers", "network", NULL };
    AUTO(json) struct json_object *document = NULL;
    struct json_object             *list     = NULL;

    if (!json_read(text, POLICY_LEN_MAX, &document, err) ||
        !json_get(document, "containers", json_type_array, &list, err) || !json_only(document, known, err) ||
        !policy_check_flag(document, "network", err))
        return context(err, "policy.json");
    size_t n = json_object_array_length(list);
    if (n > POLICY_CONTAINERS_MAX)
        return fail_with(err, ERR_LIMIT, "policy.json: over %d containers", POLICY_CONTAINERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!check_entry(json_object_array_get_idx(list, i), err))
            return contextf(err, "policy.json: container %zu", i);
    out->document = TAKE(document);
    return true;
}

void policy_free(struct policy *policy)
{
    if (policy->document)
        json_object_put(policy->document);
    policy->document = NULL;
}

/* Texts of json-c may hold zeros; a request's cannot. Lengths are compared too. */
bool policy_text_is(struct json_object *text, const char *asked)
{
    struct bytes want = { (const uint8_t *) json_object_get_string(text), (size_t) json_object_get_string_len(text) };

    return bytes_equal(want, bytes_of_text(asked));
}

bool policy_texts_equal(struct json_object *list, char *const *asked, size_t n_asked)
{
    if (json_object_array_length(list) != n_asked)
        return false;
    for (size_t i = 0; i < n_asked; i++)
        if (!policy_text_is(json_object_array_get_idx(list, i), asked[i]))
            return false;
    return true;
}

static bool takes_json(struct json_object *list, char *const **asked, size_t *n)
{
    size_t wanted = json_object_array_length(list);

    if (wanted == 0)
        return true;
    if (wanted > *n || !policy_texts_equal(list, *asked, wanted))
        return false;
    *asked += wanted;
    *n -= wanted;
    return true;
}

static bool takes_texts(const struct text_list *list, char *const **asked, size_t *n)
{
    if (list->n == 0) /* an empty list may have no array to step over */
        return true;
    if (list->n > *n)
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], (*asked)[i]) != 0)
            return false;
    *asked += list->n;
    *n -= list->n;
    return true;
}

/* Kubernetes' rule: `command` replaces the entry point, and with it the image's own arguments. */
static bool argv_follows(struct json_object *entry, const struct policy_request *request,
                         const struct image_config *image)
{
    struct json_object *command = json_object_object_get(entry, "command");
    struct json_object *args    = json_object_object_get(entry, "args");
    char *const        *left    = request->args;
    size_t              n       = request->n_args;
    bool                is_good = command ? takes_json(command, &left, &n) : takes_texts(&image->entrypoint, &left, &n);

    if (args)
        is_good = is_good && takes_json(args, &left, &n);
    else if (!command)
        is_good = is_good && takes_texts(&image->cmd, &left, &n);
    return is_good && n == 0;
}

static bool holds(struct json_object *list, const char *text)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++)
        if (policy_text_is(json_object_array_get_idx(list, i), text))
            return true;
    return false;
}

static bool holds_name(struct json_object *names, const char *entry)
{
    size_t len = strcspn(entry, "=");

    for (size_t i = 0; names && i < json_object_array_length(names); i++) {
        struct json_object *name = json_object_array_get_idx(names, i);

        if ((size_t) json_object_get_string_len(name) == len && strncmp(json_object_get_string(name), entry, len) == 0)
            return true;
    }
    return false;
}

static bool image_holds(const struct text_list *env, const char *text)
{
    for (size_t i = 0; i < env->n; i++)
        if (strcmp(env->at[i], text) == 0)
            return true;
    return false;
}

/*
 * Each variable comes from the policy, or from the image and is not set by the policy, or has a name that the policy
 * leaves to the host, or is what engines add for a terminal; and all of the policy's are there. What the host leaves
 * out of the image's is put back later.
 */
static bool env_follows(struct json_object *entry, const struct policy_request *request,
                        const struct image_config *image)
{
    struct json_object *env   = json_object_object_get(entry, "env");
    struct json_object *names = json_object_object_get(entry, "env_names");

    for (size_t i = 0; i < request->n_env; i++)
        if (!holds(env, request->env[i]) && !image_holds(&image->env, request->env[i]) &&
            !holds_name(names, request->env[i]) && !(request->terminal && strcmp(request->env[i], "TERM=xterm") == 0))
            return false;
    for (size_t i = 0; i < json_object_array_length(env); i++) {
        size_t at = 0;

        while (at < request->n_env && !policy_text_is(json_object_array_get_idx(env, i), request->env[at]))
            at++;
        if (at == request->n_env)
            return false;
    }
    return true;
}

/* One value for each name: of two, which counts would be the program's choice. */
static bool names_once(char *const *env, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            size_t len = strcspn(env[i], "=");

            if (len == strcspn(env[j], "=") && strncmp(env[i], env[j], len) == 0)
                return false;
        }
    return true;
}

/* By its digest; by its name only when the request leaves the digest to the image policy. */
static bool is_image(const char *wanted, const struct policy_request *request)
{
    if (request->image_digest[0])
        return strcmp(wanted, request->image_digest) == 0;
    return request->image_name && request->image_name[0] && strcmp(wanted, request->image_name) == 0;
}

static const char *member_text(struct json_object *of, const char *name)
{
    return json_object_get_string(json_object_object_get(of, name));
}

struct json_object *policy_volume(struct json_object *list, const struct volume_disk *disk)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *row = json_object_array_get_idx(list, i);

        if (strcmp(member_text(row, "path"), disk->path) == 0 && strcmp(member_text(row, "volume"), disk->volume) == 0)
            return row;
    }
    return NULL;
}

/* NULL when the process of the request equals the entry; else the first field that differs. */
static const char *process_difference(struct json_object *entry, const struct policy_request *request,
                              const struct image_config *image)
{
    struct json_object *args = json_object_object_get(entry, "args");

    if (!is_image(json_object_get_string(json_object_object_get(entry, "image")), request))
        return "image";
    if (request->is_whole && !image)
        return NULL;
    if (request->is_whole)
        return !argv_follows(entry, request, image)                                                   ? "args"
               : !names_once(request->env, request->n_env) || !env_follows(entry, request, image) ? "env"
               : request->terminal && !flag(entry, "terminal")                                       ? "terminal"
                                                                                                     : NULL;
    if (json_object_object_get(entry, "command") || (args ? !policy_texts_equal(args, request->args, request->n_args) : request->n_args > 0))
        return "args";
    if (!policy_texts_equal(json_object_object_get(entry, "env"), request->env, request->n_env))
        return "env";
    return request->terminal && !flag(entry, "terminal") ? "terminal" : NULL;
}

static const char *difference(struct json_object *entry, const struct policy_request *request, const struct image_config *image)
{
    const char *field = process_difference(entry, request, image);

    return field || request->share_processes == flag(entry, "share_processes") ? field : "sharing of processes";
}

/* What the request has beside its process: as policy_volume_difference. */
static const char *beside_difference(struct json_object *entry, const struct policy_request *request, const char **path, bool *is_missing)
{
    const char *field  = policy_volume_difference(entry, request->volumes, path, is_missing);
    const char *sysctl = NULL;

    if (!field && request->hidden)
        field = hidden_paths_difference(entry, request->hidden, path);
    if (!field && request->sysctls)
        sysctl = pod_sysctls_difference(entry, request->sysctls);
    if (sysctl)
        *path = sysctl;
    return sysctl ? SYSCTL_FIELD : field;
}

/* A later field that differs means a nearer entry. */
static size_t nearness(const char *field)
{
    static const char *const fields[] = { "image", "args", "env", "terminal", "sharing of processes", "file", "volume of files", "empty directory", "termination log", "volume",
                                          "masked path", "read-only path", SYSCTL_FIELD };
    size_t                   i        = 0;

    while (i < sizeof fields / sizeof *fields - 1 && strcmp(fields[i], field) != 0)
        i++;
    return i;
}

FALLIBLE policy_allow_network(const struct policy *policy, struct err *err)
{
    if (policy->rules_decide || (policy->document && json_object_get_boolean(json_object_object_get(policy->document, "network"))))
        return true;
    return fail_with(err, ERR_DENIED, "policy allows no network");
}

bool policy_has_one_image(const struct policy *policy)
{
    struct json_object *list = policy->document ? json_object_object_get(policy->document, "containers") : NULL;
    size_t              n    = list ? json_object_array_length(list) : 0;

    for (size_t i = 1; i < n; i++)
        if (strcmp(json_object_get_string(json_object_object_get(json_object_array_get_idx(list, i), "image")),
                   json_object_get_string(json_object_object_get(json_object_array_get_idx(list, 0), "image"))) != 0)
            return false;
    return n > 0;
}

FALLIBLE policy_allow_create(const struct policy *policy, const struct policy_request *request,
                             const struct image_config *image, struct policy_grant *out, struct err *err)
{
    struct json_object *list    = policy->document ? json_object_object_get(policy->document, "containers") : NULL;
    const char         *nearest = "image", *path = "";
    bool                wants   = false;

    if (policy->rules_decide && request->volumes && request->volumes->n_disks > 0)
        return fail_with(err, ERR_DENIED, "persistent volumes are policy.json's to allow: it names their keys");
    if (policy->rules_decide) {
        *out = (struct policy_grant){ .output = true, .input = true, .terminal = true, .update = true, .rules_decide = true,
                                      .token = true, .evidence = true, .measure = true };
        return true;
    }
    if (!list)
        return fail_with(err, ERR_DENIED, "the initdata has neither policy.json nor policy.rego: no container may run");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        const char         *field = difference(entry, request, image);
        const char         *where = "";
        bool                is_missing = false;

        if (!field && (image || !request->is_whole))
            field = beside_difference(entry, request, &where, &is_missing);
        if (!field) {
            *out = (struct policy_grant){
                .output         = flag(entry, "output"),
                .input          = flag(entry, "input"),
                .terminal       = flag(entry, "terminal"),
                .update         = flag(entry, "update"),
                .read_only_root = flag(entry, "read_only_root"),
                .user           = json_object_get_string(json_object_object_get(entry, "user")),
                .cwd            = json_object_get_string(json_object_object_get(entry, "cwd")),
                .privileges     = privileges_of(entry),
                .exec           = json_object_object_get(entry, "exec"),
                .token          = flag(entry, "token"),
                .evidence       = flag(entry, "evidence"),
                .measure        = flag(entry, "measure"),
                .resources      = json_object_object_get(entry, "resources"),
                .sealed         = json_object_object_get(entry, "sealed"),
                .sealed_unsigned = flag(entry, "sealed_unsigned"),
                .volumes        = json_object_object_get(entry, "volumes"),
                .files             = json_object_object_get(entry, "files"),
                .empty_directories = json_object_object_get(entry, "empty_directories"),
                .termination_log   = json_object_get_string(json_object_object_get(entry, "termination_log")),
                .masked_paths      = json_object_object_get(entry, "masked_paths"),
                .readonly_paths    = json_object_object_get(entry, "readonly_paths"),
                .sysctls           = json_object_object_get(entry, "sysctls"),
            };
            return true;
        }
        if (nearness(field) > nearness(nearest))
            nearest = field, path = where, wants = is_missing;
    }
    if (wants)
        return fail_with(err, ERR_DENIED, "policy wants the %s %.120s in this container", nearest, path);
    if (*path)
        return fail_with(err, ERR_DENIED, "policy does not list the %s %.120s%s for this container", nearest, path,
                         strcmp(nearest, SYSCTL_FIELD) == 0 ? " with that value" : "");
    return fail_with(err, ERR_DENIED, "policy allows no container with this %s", nearest);
}

FALLIBLE policy_allow_exec(const struct policy_grant *grant, const struct exec_wish *wish, struct err *err)
{
    if (wish->terminal && !grant->terminal)
        return fail_with(err, ERR_DENIED, "policy allows no terminal in this container");
    if (grant->rules_decide || policy_exec_lists(grant->exec, wish))
        return true;
    if (grant->exec && exec_wish_is_special(wish))
        return fail_with(err, ERR_DENIED, "policy does not allow this argv in this container with another user, directory or environment");
    return fail_with(err, ERR_DENIED, grant->exec ? "policy does not allow this argv in this container"
                                                  : "policy allows nothing to be run in this container");
}

FALLIBLE policy_allow_resource(const struct policy_grant *grant, const char *uri, struct err *err)
{
    if (grant->rules_decide || holds(grant->resources, uri))
        return true;
    return fail_with(err, ERR_DENIED, "policy does not let this container have %.120s", uri);
}

FALLIBLE policy_allow_signer(const struct policy_grant *grant, const char *signer, struct err *err)
{
    if (*signer ? grant->rules_decide || holds(grant->sealed, signer) : grant->sealed_unsigned)
        return true;
    return *signer ? fail_with(err, ERR_DENIED, "policy takes no sealed secret of %.120s for this container", signer)
                   : fail_with(err, ERR_DENIED, "policy takes no sealed secret without a signature for this container");
}
