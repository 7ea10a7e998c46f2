#include "guest/container/oci.h"

#include <string.h>

#include "guest/container/limits.h"
#include "guest/container/seccomp.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const struct mount { const char *target, *type, *source, *options[8]; } mounts[] = {
    { "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
    { "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
    { "/dev/pts", "devpts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
    { "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
    { "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
    { "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
    { "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
};

/* The network is the pod's: one per guest. So is the first of these, where a path says so. */
static const char *const namespaces[] = { "pid", "ipc", "uts", "mount", "cgroup" };

static const struct rlimit_row { const char *type; uint64_t soft, hard; } rlimits[] = {
    { "RLIMIT_NOFILE", 1024, 524288 },
    { "RLIMIT_CORE", 0, 0 },
};

static struct json_object *text_array(const char *const *texts, size_t n)
{
    struct json_object *out = json_object_new_array();

    for (size_t i = 0; i < n; i++)
        json_object_array_add(out, json_object_new_string(texts[i]));
    return out;
}
#define TEXTS(rows) text_array(rows, sizeof(rows) / sizeof *(rows))

static FALLIBLE add_texts(struct json_object *to, const char *const *texts, size_t n, struct err *err)
{
    if (n > CONTAINER_ARGS_MAX - json_object_array_length(to))
        return fail_with(err, ERR_LIMIT, "over %d strings of arguments or environment", CONTAINER_ARGS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (strlen(texts[i]) >= CONTAINER_TEXT_MAX)
            return fail_with(err, ERR_LIMIT, "an argument or environment entry over %d bytes", CONTAINER_TEXT_MAX);
        json_object_array_add(to, json_object_new_string(texts[i]));
    }
    return true;
}

static FALLIBLE add_args(struct json_object *process, const struct oci_request *r, struct err *err)
{
    struct json_object *args = json_object_new_array();

    json_add(process, "args", args);
    if (!r->is_whole && !add_texts(args, r->image->entrypoint.at, r->image->entrypoint.n, err))
        return false;
    bool is_good = r->n_args > 0 || r->is_whole ? add_texts(args, (const char *const *) r->args, r->n_args, err)
                                 : add_texts(args, r->image->cmd.at, r->image->cmd.n, err);
    if (!is_good)
        return false;
    if (json_object_array_length(args) == 0 || *json_object_get_string(json_object_array_get_idx(args, 0)) == 0)
        return fail_with(err, ERR_CONFIG, "neither the image nor the request names a command");
    return true;
}

static bool same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");

    return strncmp(a, b, len) == 0 && b[len] == '=';
}

bool oci_env_has(const char *const *entries, size_t n, const char *entry)
{
    for (size_t i = 0; i < n; i++)
        if (same_name(entry, entries[i]))
            return true;
    return false;
}

static FALLIBLE check_env(const char *const *entries, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (entries[i][0] == '=' || !strchr(entries[i], '='))
            return fail_with(err, ERR_MALFORMED, "environment entry %zu: wanted NAME=VALUE", i);
    return true;
}

/* The image's entries that the request does not name again, then the request's, then PATH and HOME where missing. */
static FALLIBLE add_env(struct json_object *process, const struct oci_request *r, struct err *err)
{
    const struct text_list  *image = &r->image->env;
    const char *const       *ours  = (const char *const *) r->env;
    struct json_object      *env   = json_object_new_array();
    char                     home[USER_HOME_MAX + 8];
    const char *const        defaults[] = { DEFAULT_PATH, home, "TERM=xterm" };
    size_t                   n_defaults = r->terminal ? 3 : 2;

    json_add(process, "env", env);
    (void) snprintf(home, sizeof home, "HOME=%s", r->user->home); /* sized for it */
    if (!check_env(image->at, image->n, err) || !check_env(ours, r->n_env, err))
        return false;
    for (size_t i = 0; i < image->n; i++)
        if (!oci_env_has(ours, r->n_env, image->at[i]) && !add_texts(env, &image->at[i], 1, err))
            return false;
    if (!add_texts(env, ours, r->n_env, err))
        return false;
    for (size_t i = 0; i < n_defaults; i++)
        if (!oci_env_has(image->at, image->n, defaults[i]) && !oci_env_has(ours, r->n_env, defaults[i]) &&
            !add_texts(env, &defaults[i], 1, err))
            return false;
    return true;
}

static struct json_object *compose_user(const struct user *user)
{
    struct json_object *out    = json_object_new_object();
    struct json_object *groups = json_object_new_array();

    for (size_t i = 0; i < user->n_groups; i++)
        json_object_array_add(groups, json_object_new_int64(user->groups[i]));
    json_add(out, "uid", json_object_new_int64(user->uid));
    json_add(out, "gid", json_object_new_int64(user->gid));
    json_add(out, "umask", json_object_new_int(022));
    json_add(out, "additionalGids", groups);
    return out;
}

/* A user that is not root has none. */
static struct json_object *compose_capabilities(const struct user *user, const struct privileges *privileges)
{
    struct json_object *out     = json_object_new_object();
    bool                is_root = user->uid == 0;

    json_add(out, "bounding", privileges_capabilities(privileges));
    json_add(out, "effective", is_root ? privileges_capabilities(privileges) : json_object_new_array());
    json_add(out, "permitted", is_root ? privileges_capabilities(privileges) : json_object_new_array());
    json_add(out, "inheritable", json_object_new_array());
    json_add(out, "ambient", json_object_new_array());
    return out;
}

static struct json_object *compose_rlimits(void)
{
    struct json_object *out = json_object_new_array();

    for (size_t i = 0; i < sizeof rlimits / sizeof *rlimits; i++) {
        struct json_object *row = json_object_new_object();

        json_add_text(row, "type", rlimits[i].type);
        json_add(row, "hard", json_object_new_uint64(rlimits[i].hard));
        json_add(row, "soft", json_object_new_uint64(rlimits[i].soft));
        json_object_array_add(out, row);
    }
    return out;
}

static FALLIBLE add_process(struct json_object *config, const struct oci_request *r, struct err *err)
{
    struct json_object *process = json_object_new_object();
    const char         *cwd     = r->cwd ? r->cwd : *r->image->working_dir ? r->image->working_dir : "/";

    json_add(config, "process", process);
    if (*cwd != '/')
        return fail_with(err, ERR_MALFORMED, "the working directory is not absolute");
    json_add(process, "terminal", json_object_new_boolean(r->terminal));
    json_add(process, "user", compose_user(r->user));
    json_add_text(process, "cwd", cwd);
    json_add(process, "capabilities", compose_capabilities(r->user, &r->privileges));
    json_add(process, "rlimits", compose_rlimits());
    json_add(process, "noNewPrivileges", json_object_new_boolean(true));
    json_add(process, "oomScoreAdj", json_object_new_int(500));
    return add_args(process, r, err) && add_env(process, r, err);
}

static struct json_object *compose_mounts(void)
{
    struct json_object *out = json_object_new_array();

    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        struct json_object *row = json_object_new_object();
        size_t              n   = 0;

        while (n < sizeof mounts[i].options / sizeof *mounts[i].options && mounts[i].options[n])
            n++;
        json_add_text(row, "destination", mounts[i].target);
        json_add_text(row, "type", mounts[i].type);
        json_add_text(row, "source", mounts[i].source);
        json_add(row, "options", text_array(mounts[i].options, n));
        json_object_array_add(out, row);
    }
    return out;
}

enum bind_kind { BIND_FILES, BIND_DIRECTORY, BIND_FIXED_DIRECTORY };

static void add_bind(struct json_object *to, const char *target, const char *source, enum bind_kind kind)
{
    static const char *const files[] = { "bind", "ro", "nosuid", "nodev", "noexec" }, *const free[] = { "bind", "rw", "nosuid", "nodev" },
                      *const fixed[] = { "bind", "ro", "nosuid", "nodev" };
    struct json_object      *row     = json_object_new_object();

    json_add_text(row, "destination", target);
    json_add_text(row, "type", "bind");
    json_add_text(row, "source", source);
    json_add(row, "options", kind == BIND_FILES ? TEXTS(files) : kind == BIND_DIRECTORY ? TEXTS(free) : TEXTS(fixed));
    json_object_array_add(to, row);
}

/* Directories first: a file or a volume of files may lie in one. */
static void add_volumes(struct json_object *to, const struct oci_request *r)
{
    static const struct volumes none = { .n_files = 0 };
    const struct volumes       *v    = r->volumes ? r->volumes : &none;
    char                        source[VOLUME_HOST_PATH_MAX];

    for (size_t i = 0; i < v->n_disks; i++) {
        volume_disk_place(v->disks[i].volume, source);
        add_bind(to, v->disks[i].path, source, v->disks[i].read_only ? BIND_FIXED_DIRECTORY : BIND_DIRECTORY);
    }
    for (size_t i = 0; i < v->n_directories; i++) {
        if (v->directories[i].sub_path && *v->directories[i].sub_path)
            volume_sub_place(r->places->subs, i, source);
        else
            volume_directory_place(r->places->shared, v->directories[i].volume, source);
        add_bind(to, v->directories[i].path, source, v->directories[i].read_only ? BIND_FIXED_DIRECTORY : BIND_DIRECTORY);
    }
    for (size_t i = 0; i < v->n_trees; i++) {
        volume_tree_place(r->places->folder, i, source);
        add_bind(to, v->trees[i].path, source, BIND_FILES);
    }
    for (size_t i = 0; i < v->n_files; i++) {
        volume_file_place(r->places->folder, i, source);
        add_bind(to, v->files[i].path, source, BIND_FILES);
    }
    if (v->termination_log && *v->termination_log) {
        volume_termination_place(r->places->folder, source);
        add_bind(to, v->termination_log, source, BIND_DIRECTORY);
    }
}

static struct json_object *compose_resources(void)
{
    struct json_object *out     = json_object_new_object();
    struct json_object *devices = json_object_new_array();
    struct json_object *none    = json_object_new_object();
    struct json_object *pids    = json_object_new_object();

    json_add(none, "allow", json_object_new_boolean(false));
    json_add_text(none, "access", "rwm");
    json_object_array_add(devices, none);
    json_add(out, "devices", devices);
    json_add(pids, "limit", json_object_new_int(4096));
    json_add(out, "pids", pids);
    return out;
}

static struct json_object *compose_linux(const struct oci_request *r)
{
    struct json_object *out    = json_object_new_object();
    struct json_object *spaces = json_object_new_array();
    char                cgroup[CONTAINER_ID_MAX + 32];

    (void) snprintf(cgroup, sizeof cgroup, "/containers/%s", r->id); /* ids are shorter */
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
        struct json_object *space = json_object_new_object();

        json_add_text(space, "type", namespaces[i]);
        if (i == 0 && r->processes)
            json_add_text(space, "path", r->processes);
        json_object_array_add(spaces, space);
    }
    json_add(out, "namespaces", spaces);
    json_add_text(out, "cgroupsPath", cgroup);
    json_add(out, "resources", compose_resources());
    hidden_paths_add(out, r->masked_paths, r->readonly_paths, r->hidden);
    pod_sysctls_add(r->sysctls, out);
    json_add(out, "seccomp", seccomp_profile());
    return out;
}

FALLIBLE oci_compose(const struct oci_request *request, struct buffer *json, struct json_object **process,
                     struct err *err)
{
    AUTO(json) struct json_object *config = json_object_new_object();
    struct json_object            *root   = json_object_new_object();

    json_add_text(config, "ociVersion", "1.0.2");
    json_add_text(root, "path", request->root);
    json_add(root, "readonly", json_object_new_boolean(request->read_only_root));
    json_add(config, "root", root);
    json_add_text(config, "hostname", request->hostname);
    json_add(config, "mounts", compose_mounts());
    add_volumes(json_object_object_get(config, "mounts"), request);
    json_add(config, "linux", compose_linux(request));
    if (!add_process(config, request, err))
        return false;
    json_write(config, json);
    *process = json_object_get(json_object_object_get(config, "process"));
    return true;
}

/* The container's that are not named again, then those. */
static FALLIBLE exec_env(struct json_object *out, struct json_object *process, const struct oci_exec *exec, struct err *err)
{
    const char *const  *ours = (const char *const *) exec->env;
    struct json_object *from = json_object_object_get(process, "env"), *env = json_object_new_array();

    json_add(out, "env", env);
    if (!check_env(ours, exec->n_env, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(from); i++) {
        const char *entry = json_object_get_string(json_object_array_get_idx(from, i));

        if (!oci_env_has(ours, exec->n_env, entry) && !add_texts(env, &entry, 1, err))
            return false;
    }
    return add_texts(env, ours, exec->n_env, err);
}

FALLIBLE oci_compose_exec(struct json_object *process, const struct oci_exec *exec, struct buffer *json, struct err *err)
{
    AUTO(json) struct json_object *out  = json_object_new_object();
    struct json_object            *argv = json_object_new_array();

    json_object_object_foreach(process, name, value) {
        if (strcmp(name, "args") != 0 && strcmp(name, "terminal") != 0 && strcmp(name, "env") != 0)
            json_add(out, name, json_object_get(value));
    }
    json_add(out, "terminal", json_object_new_boolean(exec->terminal));
    json_add(out, "args", argv);
    if (exec->user) {
        json_add(out, "user", compose_user(exec->user));
        json_add(out, "capabilities", compose_capabilities(exec->user, &exec->privileges));
    }
    if (exec->cwd && *exec->cwd != '/')
        return fail_with(err, ERR_MALFORMED, "the working directory is not absolute");
    if (exec->cwd)
        json_add_text(out, "cwd", exec->cwd);
    if (!exec_env(out, process, exec, err) || !add_texts(argv, (const char *const *) exec->args, exec->n_args, err))
        return false;
    if (exec->n_args == 0 || *exec->args[0] == 0)
        return fail_with(err, ERR_CONFIG, "the request names no command");
    json_write(out, json);
    return true;
}
