#include "runtime/cli/pod_container.h"

#include <string.h>

#include "runtime/cli/pod_claim.h"
#include "runtime/cli/pod_security.h"
#include "runtime/cli/sealing.h"

enum { DIGEST_ROOM = 72, EXPANDED_LEN_MAX = 128 << 10 };

/* ---- YAML nodes ---- */

const char *yaml_text(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *) n->data.scalar.value : NULL;
}

const yaml_node_t *yaml_member(const struct pod_reading *r, const yaml_node_t *map, const char *key)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *text = yaml_text(yaml_document_get_node(r->document, p->key));

        if (text && strcmp(text, key) == 0)
            return yaml_document_get_node(r->document, p->value);
    }
    return NULL;
}

size_t yaml_count(const yaml_node_t *list)
{
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return 0;
    return (size_t) (list->data.sequence.items.top - list->data.sequence.items.start);
}

const yaml_node_t *yaml_item(const struct pod_reading *r, const yaml_node_t *list, size_t i)
{
    return yaml_document_get_node(r->document, list->data.sequence.items.start[i]);
}

/* ---- pieces of an entry ---- */

static void push(struct json_object *array, struct json_object *value)
{
    if (json_object_array_add(array, value) != 0)
        abort();
}

static void push_text(struct json_object *array, const char *text)
{
    push(array, json_object_new_string(text));
}

static bool is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text) == DIGEST_ROOM - 1 && strspn(text + 7, "0123456789abcdef") == 64;
}

static FALLIBLE add_image(const struct pod_reading *r, const char *image, struct json_object *entry, struct err *err)
{
    const char *at = strrchr(image, '@');
    char        digest[DIGEST_ROOM];

    if (at && !is_digest(at + 1))
        return fail_with(err, ERR_MALFORMED, "image %.120s: %.80s is no sha256 digest", image, at + 1);
    if (at)
        memcpy(digest, at + 1, DIGEST_ROOM);
    else if (!r->images->digest(r->images->owner, image, digest, err))
        return false;
    json_add_text(entry, "image", digest);
    return true;
}

/* What the kubelet makes of $(NAME): the value of a variable of this container that stands before; $$ is $. */
struct variables {
    struct json_object *env;   /* "K=V" */
    struct json_object *names; /* whose values come from elsewhere */
};

static const char *value_of(const struct variables *v, const char *name, size_t len, bool *from_elsewhere)
{
    *from_elsewhere = false;
    for (size_t i = json_object_array_length(v->env); i > 0; i--) {
        const char *entry = json_object_get_string(json_object_array_get_idx(v->env, i - 1));

        if (strncmp(entry, name, len) == 0 && entry[len] == '=')
            return entry + len + 1;
    }
    for (size_t i = 0; i < json_object_array_length(v->names); i++) {
        const char *known = json_object_get_string(json_object_array_get_idx(v->names, i));

        *from_elsewhere |= strlen(known) == len && strncmp(known, name, len) == 0;
    }
    return NULL;
}

static FALLIBLE expand(const struct variables *v, const char *text, struct buffer *out, struct err *err)
{
    while (*text) {
        const char *end = text[0] == '$' && text[1] == '(' ? strchr(text, ')') : NULL;
        bool        from_elsewhere = false;
        const char *value = end ? value_of(v, text + 2, (size_t) (end - text - 2), &from_elsewhere) : NULL;

        if (from_elsewhere)
            return fail_with(err, ERR_UNSUPPORTED, "%.*s: its value comes from elsewhere and cannot be pinned", (int) (end - text + 1), text);
        if (out->len > EXPANDED_LEN_MAX)
            return fail_with(err, ERR_LIMIT, "over %d bytes", EXPANDED_LEN_MAX);
        if (value) {
            buffer_append_text(out, value);
            text = end + 1;
        } else {
            size_t escaped = text[0] == '$' && text[1] == '$';

            buffer_append(out, (struct bytes){ (const uint8_t *) text, 1 });
            text += 1 + escaped;
        }
    }
    return true;
}

static FALLIBLE push_expanded(const struct variables *v, const char *text, struct json_object *to, struct err *err)
{
    AUTO(buffer) struct buffer expanded = { 0 };

    if (!expand(v, text, &expanded, err))
        return false;
    push_text(to, buffer_text(&expanded));
    return true;
}

/* An argv; `v` NULL: as written, which is how probes and hooks are. */
static FALLIBLE argv_read(const struct pod_reading *r, const yaml_node_t *list, const struct variables *v,
                          struct json_object *to, const char *what, struct err *err)
{
    for (size_t i = 0; i < yaml_count(list); i++) {
        const char *text = yaml_text(yaml_item(r, list, i));

        if (!text)
            return fail_with(err, ERR_MALFORMED, "%s: an entry is no text", what);
        if (!v)
            push_text(to, text);
        else if (!push_expanded(v, text, to, err))
            return context(err, what);
    }
    return true;
}

static FALLIBLE add_arguments(const struct pod_reading *r, const yaml_node_t *container, const struct variables *v,
                              struct json_object *entry, struct err *err)
{
    const yaml_node_t  *command = yaml_member(r, container, "command"), *args = yaml_member(r, container, "args");
    struct json_object *list;

    if (yaml_count(command) > 0) {
        json_add(entry, "command", list = json_object_new_array());
        if (!argv_read(r, command, v, list, "command", err))
            return false;
    }
    if (yaml_count(args) == 0) {
        json_add(entry, "args", NULL); /* the image's own, unless there is a command */
        return true;
    }
    json_add(entry, "args", list = json_object_new_array());
    return argv_read(r, args, v, list, "args", err);
}

/* What every pod is given by its node, whatever it asks for. [Kubernetes, Service environment variables; kubelet] */
static void add_given_names(struct json_object *names)
{
    static const char *const given[] = {
        "HOSTNAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS",
        "KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO", "KUBERNETES_PORT_443_TCP_PORT",
        "KUBERNETES_PORT_443_TCP_ADDR",
    };

    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        push_text(names, given[i]);
}

static FALLIBLE add_variable(const struct pod_reading *r, const yaml_node_t *variable, const struct variables *v, struct err *err)
{
    AUTO(buffer) struct buffer text  = { 0 };
    const char                *name  = yaml_text(yaml_member(r, variable, "name"));
    const char                *value = yaml_text(yaml_member(r, variable, "value"));

    if (!name || !*name || strchr(name, '='))
        return fail_with(err, ERR_MALFORMED, "env: an entry has no name");
    if (yaml_member(r, variable, "valueFrom")) {
        push_text(v->names, name);
        return true;
    }
    buffer_append_text(&text, name);
    buffer_append_text(&text, "=");
    if (!expand(v, value ? value : "", &text, err))
        return contextf(err, "env %.80s", name);
    push_text(v->env, buffer_text(&text));
    return true;
}

static FALLIBLE add_environment(const struct pod_reading *r, const yaml_node_t *container, const struct variables *v, struct err *err)
{
    const yaml_node_t *env = yaml_member(r, container, "env");

    if (yaml_count(yaml_member(r, container, "envFrom")) > 0)
        return fail_with(err, ERR_UNSUPPORTED, "envFrom: the names cannot be pinned; list each variable under env, with valueFrom");
    for (size_t i = 0; i < yaml_count(env); i++)
        if (!add_variable(r, yaml_item(r, env, i), v, err))
            return false;
    return true;
}

static bool is_on(const struct pod_reading *r, const yaml_node_t *map, const char *key)
{
    const char *text = yaml_text(yaml_member(r, map, key));

    return text && strcmp(text, "true") == 0;
}

/* Probes and hooks are run by the node: the one thing that it may run in a container. */
static FALLIBLE add_executions(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err)
{
    static const struct { const char *outer, *inner; } places[] = {
        { "livenessProbe", NULL },    { "readinessProbe", NULL },   { "startupProbe", NULL },
        { "lifecycle", "postStart" }, { "lifecycle", "preStop" },
    };
    struct json_object *all = json_object_new_array();

    json_add(entry, "exec", all);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const yaml_node_t *place = yaml_member(r, container, places[i].outer);
        const yaml_node_t *exec  = yaml_member(r, places[i].inner ? yaml_member(r, place, places[i].inner) : place, "exec");
        const yaml_node_t *argv  = yaml_member(r, exec, "command");

        if (yaml_count(argv) == 0)
            continue;
        struct json_object *list = json_object_new_array();
        push(all, list);
        if (!argv_read(r, argv, NULL, list, places[i].outer, err))
            return false;
    }
    if (json_object_array_length(all) == 0)
        json_object_object_del(entry, "exec");
    return true;
}

/* ---- volumes ---- */

static const yaml_node_t *volume_named(const struct pod_reading *r, const char *name)
{
    for (size_t i = 0; name && i < yaml_count(r->volumes); i++) {
        const yaml_node_t *volume = yaml_item(r, r->volumes, i);
        const char        *its    = yaml_text(yaml_member(r, volume, "name"));

        if (its && strcmp(its, name) == 0)
            return volume;
    }
    return NULL;
}

enum volume_kind { VOLUME_OTHER, VOLUME_OF_FILES, VOLUME_EMPTY, VOLUME_OF_HOST };

static enum volume_kind kind_of_volume(const struct pod_reading *r, const char *name)
{
    static const char *const of_files[] = { "configMap", "secret", "projected", "downwardAPI" };

    const yaml_node_t *volume = volume_named(r, name);

    for (size_t k = 0; k < sizeof of_files / sizeof *of_files; k++)
        if (yaml_member(r, volume, of_files[k]))
            return VOLUME_OF_FILES;
    return yaml_member(r, volume, "emptyDir") ? VOLUME_EMPTY : yaml_member(r, volume, "hostPath") ? VOLUME_OF_HOST : VOLUME_OTHER;
}

static void push_file(struct json_object *files, const char *path)
{
    struct json_object *file = json_object_new_object();

    json_add_text(file, "path", path);
    push(files, file);
}

/* Whether an item is placed below `sub`, which then is a folder of the volume. */
static bool places_below(const struct pod_reading *r, const yaml_node_t *source, const char *sub)
{
    static const char *const kinds[] = { "configMap", "secret", "downwardAPI" };
    size_t                   len     = strlen(sub);

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const yaml_node_t *items = yaml_member(r, yaml_member(r, source, kinds[k]), "items");

        for (size_t i = 0; i < yaml_count(items); i++) {
            const char *path = yaml_text(yaml_member(r, yaml_item(r, items, i), "path"));

            if (path && strncmp(path, sub, len) == 0 && path[len] == '/')
                return true;
        }
    }
    const char *token = yaml_text(yaml_member(r, yaml_member(r, source, "serviceAccountToken"), "path"));
    return token && strncmp(token, sub, len) == 0 && token[len] == '/';
}

static bool is_folder_of(const struct pod_reading *r, const yaml_node_t *volume, const char *sub)
{
    const yaml_node_t *sources = yaml_member(r, yaml_member(r, volume, "projected"), "sources");
    bool               is_one  = places_below(r, volume, sub);

    for (size_t i = 0; i < yaml_count(sources); i++)
        is_one |= places_below(r, yaml_item(r, sources, i), sub);
    return is_one;
}

/* A file, or a folder, neither of which changes later. */
static void push_part(struct json_object *files, const char *path, bool is_folder)
{
    struct json_object *volume = json_object_new_object();

    json_add_text(volume, is_folder ? "directory" : "path", path);
    push(files, volume);
}

/* In its one form, as the guest wants it: "a/b". [Kubernetes: relative, and no ".."] */
static FALLIBLE sub_path_read(const char *text, struct buffer *out, struct err *err)
{
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, "/");

        if (*text == '/' || (len >= 2 && strncmp(at, "..", 2) == 0))
            return fail_with(err, ERR_MALFORMED, "subPath %.80s: wanted a relative path without names that begin with ..", text);
        if (len > 0 && !(len == 1 && *at == '.')) {
            buffer_append_text(out, out->len > 0 ? "/" : "");
            buffer_append(out, (struct bytes){ (const uint8_t *) at, len });
        }
        at += len + (at[len] == '/');
    }
    return true;
}

/* The kubelet keeps what it holds up to date. */
static void push_volume(struct json_object *files, const char *path)
{
    struct json_object *volume = json_object_new_object();

    json_add_text(volume, "directory", path);
    json_add(volume, "update", json_object_new_boolean(true));
    push(files, volume);
}

/* Whole quantities, as sizes of volumes are. [Kubernetes apimachinery resource.Quantity] */
static FALLIBLE quantity_read(const char *text, int64_t *out, struct err *err)
{
    static const struct { const char *suffix; int64_t times; } units[] = {
        { "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, { "Ki", 1 << 10 }, { "Mi", 1 << 20 }, { "Gi", 1 << 30 },
    };
    size_t digits = strspn(text, "0123456789");

    if (digits > 0 && digits <= 9)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strcmp(text + digits, units[i].suffix) == 0) {
                *out = strtoll(text, NULL, 10) * units[i].times;
                if (*out > 0)
                    return true;
            }
    return fail_with(err, ERR_UNSUPPORTED, "sizeLimit %.40s: wanted up to 9 digits and nothing, k, M, G, Ki, Mi or Gi", text);
}

static FALLIBLE add_mount(const struct pod_reading *r, const yaml_node_t *mount, struct json_object *files,
                          struct json_object *empty, struct err *err)
{
    const char         *name = yaml_text(yaml_member(r, mount, "name"));
    const char         *given = yaml_text(yaml_member(r, mount, "mountPath"));
    const char         *sub   = yaml_text(yaml_member(r, mount, "subPath"));
    enum volume_kind    kind  = kind_of_volume(r, name);
    AUTO(buffer) struct buffer path = { 0 }, below = { 0 };

    if (!given || *given != '/')
        return fail_with(err, ERR_MALFORMED, "volumeMounts: an entry has no absolute mountPath");
    if (kind == VOLUME_OF_HOST)
        return fail_with(err, ERR_UNSUPPORTED, "volume %.60s: hostPath: what the host has does not reach into a guest: use an emptyDir, "
                         "a configMap, or an encrypted volume (docs/storage.md)", name);
    if (kind != VOLUME_OTHER && yaml_member(r, mount, "subPathExpr"))
        return fail_with(err, ERR_UNSUPPORTED, "volumeMounts: subPathExpr of the volume %.60s: give a subPath", name);
    buffer_append_text(&path, given);
    while (path.len > 1 && path.at[path.len - 1] == '/')
        path.len--;
    if (sub && !sub_path_read(sub, &below, err))
        return contextf(err, "volumeMounts: %.60s", given);
    if (kind == VOLUME_OF_FILES && sub)
        push_part(files, buffer_text(&path), is_folder_of(r, volume_named(r, name), buffer_text(&below)));
    else if (kind == VOLUME_OF_FILES)
        push_volume(files, buffer_text(&path));
    if (kind != VOLUME_EMPTY)
        return true;
    struct json_object *row = json_object_new_object();
    json_add_text(row, "path", buffer_text(&path));
    json_add_text(row, "volume", name);
    push(empty, row);
    if (below.len > 0)
        json_add_text(row, "sub_path", buffer_text(&below));
    if (is_on(r, mount, "readOnly"))
        json_add(row, "read_only", json_object_new_boolean(true));
    const char *limit = yaml_text(yaml_member(r, yaml_member(r, volume_named(r, name), "emptyDir"), "sizeLimit"));
    int64_t     size  = 0;
    if (limit && !quantity_read(limit, &size, err))
        return contextf(err, "volume %.60s", name);
    if (limit)
        json_add(row, "size", json_object_new_int64(size));
    return true;
}

/* What every pod is given, and what the manifest mounts. */
static FALLIBLE add_volumes(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err)
{
    static const char *const given[] = { "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };
    struct json_object      *files = json_object_new_array(), *empty = json_object_new_array();
    const yaml_node_t       *mounts = yaml_member(r, container, "volumeMounts");

    json_add(entry, "files", files);
    json_add(entry, "empty_directories", empty);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        push_file(files, given[i]);
    if (r->has_token)
        push_volume(files, "/var/run/secrets/kubernetes.io/serviceaccount");
    for (size_t i = 0; i < yaml_count(mounts); i++)
        if (!add_mount(r, yaml_item(r, mounts, i), files, empty, err))
            return false;
    if (json_object_array_length(empty) == 0)
        json_object_object_del(entry, "empty_directories");
    return true;
}

static void note(const struct pod_reading *r, const char *name, const char *what, const char *of)
{
    AUTO(buffer) struct buffer text = { 0 };

    buffer_printf(&text, "container %.60s: %s %.120s", name, what, of);
    push_text(r->out->notes, buffer_text(&text));
}

static void add_notes(const struct pod_reading *r, const yaml_node_t *container, const char *name)
{
    const yaml_node_t *mounts = yaml_member(r, container, "volumeMounts"), *env = yaml_member(r, container, "env");

    for (size_t i = 0; i < yaml_count(env); i++) {
        const char *variable = yaml_text(yaml_member(r, yaml_item(r, env, i), "name"));

        if (yaml_member(r, yaml_item(r, env, i), "valueFrom"))
            note(r, name, "the host chooses the value of", variable);
    }
    for (size_t i = 0; i < yaml_count(mounts); i++) {
        const char      *path = yaml_text(yaml_member(r, yaml_item(r, mounts, i), "mountPath"));
        enum volume_kind kind = kind_of_volume(r, yaml_text(yaml_member(r, yaml_item(r, mounts, i), "name")));

        if (kind == VOLUME_OF_FILES)
            note(r, name, "the host chooses the files at", path ? path : "?");
        else if (kind == VOLUME_OTHER && !pod_claim_is(r, yaml_item(r, mounts, i)))
            note(r, name, "a guest does not have the volume at", path ? path : "?");
    }
    pod_security_note(r, container, name, note);
}

static FALLIBLE fill(const struct pod_reading *r, const yaml_node_t *container, const char *image, struct json_object *entry,
                     struct err *err)
{
    struct variables v   = { json_object_new_array(), json_object_new_array() };
    const char      *log = yaml_text(yaml_member(r, container, "terminationMessagePath"));

    json_add(entry, "env", v.env);
    json_add(entry, "env_names", v.names);
    if (!add_image(r, image, entry, err) || !add_environment(r, container, &v, err) ||
        !add_arguments(r, container, &v, entry, err) || !pod_security_add(r, container, entry, err) ||
        !add_executions(r, container, entry, err) || !add_volumes(r, container, entry, err) ||
        !pod_claims_add(r, container, entry, err))
        return false;
    add_given_names(v.names);
    sealing_add_signers(entry, v.env);
    json_add(entry, "output", json_object_new_boolean(true));
    json_add_text(entry, "termination_log", log ? log : "/dev/termination-log");
    if (r->shares_processes)
        json_add(entry, "share_processes", json_object_new_boolean(true));
    if (is_on(r, container, "stdin"))
        json_add(entry, "input", json_object_new_boolean(true));
    if (is_on(r, container, "tty"))
        json_add(entry, "terminal", json_object_new_boolean(true));
    return true;
}

FALLIBLE pod_container_add(const struct pod_reading *r, const yaml_node_t *container, struct err *err)
{
    struct json_object *containers = json_object_object_get(r->out->policy, "containers");
    struct json_object *entry      = json_object_new_object();
    const char         *name       = yaml_text(yaml_member(r, container, "name"));
    const char         *image      = yaml_text(yaml_member(r, container, "image"));

    push(containers, entry);
    if (!name || !image)
        return fail_with(err, ERR_MALFORMED, "a container needs a name and an image");
    if (json_object_array_length(containers) > POD_YAML_CONTAINERS_MAX)
        return fail_with(err, ERR_LIMIT, "more than %d containers", POD_YAML_CONTAINERS_MAX);
    push_text(r->out->names, name);
    if (!fill(r, container, image, entry, err))
        return contextf(err, "container %.60s", name);
    add_notes(r, container, name);
    return true;
}
