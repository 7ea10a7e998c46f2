/* cloister install node, cloister uninstall node: Cloister's handlers in containerd's and CRI-O's configuration. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/options.h"
#include "base/process.h"
#include "runtime/cli/commands.h"
#include "runtime/kubernetes/containerd_config.h"

enum { SMALL_FILE_MAX = 64 << 10, ENGINE_WORDS_MAX = 4 << 20, ENGINE_TIMEOUT_MS = 120000 };

#define CONTAINERD_CONFIG "/etc/containerd/config.toml"
#define CRIO_FOLDER       "/etc/crio"
#define CRIO_DROP_IN      "/etc/crio/crio.conf.d/50-cloister.conf"
#define SETTINGS          "/etc/cloister/shim.toml"
#define DEVELOPMENT       "/etc/cloister/development.toml"
#define DEVELOPMENT_SHIM  "/etc/cloister/containerd-shim-cloister-development-v2" /* finds DEVELOPMENT by this name */
#define UNIT              "/etc/systemd/system/cloister-snapshotter.service"
#define SOCKET            "/run/cloister/snapshotter.sock"

struct install {
    const char *root, *programs; /* where the node's files are, and our programs on that node */
    const char *version;         /* of containerd, or NULL: it is asked */
    bool        only_shows, no_reload;
    bool        links_shim;      /* containerd 2 tells its handlers apart by the shim's name */
    bool        is_shared;       /* our snapshotter serves plain pods as well: containerd before 1.7 */
};

/* ---- what is written ---- */

static void write_settings(const struct install *o, struct buffer *out)
{
    (void) o;
    buffer_append_text(out, "# What the RuntimeClass cloister starts pods with. The keys are in docs/kubernetes.md.\n"
                            "tee = \"auto\"\ncpus = 1\nmemory = 512\n"
                            "cache = \"/var/lib/cloister/snapshotter/cache\"\n");
}

static void write_development(const struct install *o, struct buffer *out)
{
    (void) o;
    buffer_append_text(out, "# For the RuntimeClass cloister-development: a simulated platform, which PROTECTS NOTHING.\n"
                            "development = true\ntee = \"sim\"\ncpus = 1\nmemory = 512\n"
                            "cache = \"/var/lib/cloister/snapshotter/cache\"\n");
}

static void write_unit(const struct install *o, struct buffer *out)
{
    buffer_printf(out, "[Unit]\nDescription=Cloister snapshotter for containerd\nBefore=containerd.service\n\n"
                       "[Service]\nExecStartPre=/bin/mkdir -p /run/cloister\n"
                       "ExecStart=%s/cloister-snapshotter --socket " SOCKET "%s\nRestart=always\nRestartSec=1\n\n"
                       "[Install]\nWantedBy=multi-user.target\n", o->programs, o->is_shared ? "" : " --skip-all");
}

static void write_crio_handler(const struct install *o, const char *name, const char *settings, struct buffer *out)
{
    buffer_printf(out, "[crio.runtime.runtimes.%s]\nruntime_path = \"%s/containerd-shim-cloister-v2\"\nruntime_type = \"vm\"\n"
                       "runtime_root = \"/run/cloister\"\nruntime_config_path = \"%s\"\nprivileged_without_host_devices = true\n"
                       "allowed_annotations = [\"io.cloister.initdata\", \"io.katacontainers.config.hypervisor.cc_init_data\"]\n",
                  name, o->programs, settings);
}

static void write_crio(const struct install *o, struct buffer *out)
{
    buffer_append_text(out, "# Written by `cloister install node`, removed by `cloister uninstall node`.\n");
    write_crio_handler(o, HANDLER, SETTINGS, out);
    write_crio_handler(o, HANDLER_DEVELOPMENT, DEVELOPMENT, out);
}

static const struct file_row {
    const char *path;
    void      (*write)(const struct install *o, struct buffer *out);
    const char *needs;       /* a folder without which it is not wanted */
    bool        is_settings; /* the administrator's from then on */
} files[] = {
    { SETTINGS, write_settings, NULL, true },
    { DEVELOPMENT, write_development, NULL, true },
    { UNIT, write_unit, "/etc/systemd/system", false },
    { CRIO_DROP_IN, write_crio, CRIO_FOLDER, false },
};

/* ---- files ---- */

static void place(const struct install *o, const char *path, struct buffer *out)
{
    out->len = 0;
    buffer_printf(out, "%s%s", o->root, path);
}

static bool is_there(const struct install *o, const char *path)
{
    AUTO(buffer) struct buffer at = { 0 };

    place(o, path, &at);
    return access(buffer_text(&at), F_OK) == 0;
}

static FALLIBLE put_file(const struct install *o, const char *path, struct bytes content, struct err *err)
{
    AUTO(buffer) struct buffer at = { 0 }, folder = { 0 };

    if (o->only_shows) {
        printf("would write %s\n", path);
        return true;
    }
    place(o, path, &at);
    buffer_append(&folder, (struct bytes){ at.at, (size_t) (strrchr(buffer_text(&at), '/') - buffer_text(&at)) });
    if (!directory_make(buffer_text(&folder), err) || !file_write(buffer_text(&at), content, 0644, err))
        return false;
    printf("wrote %s\n", path);
    return true;
}

static FALLIBLE remove_file(const struct install *o, const char *path, struct err *err)
{
    AUTO(buffer) struct buffer at = { 0 };

    place(o, path, &at);
    if (!o->only_shows && unlink(buffer_text(&at)) < 0 && errno != ENOENT)
        return err_os(err, "%s", path);
    printf("%s %s\n", o->only_shows ? "would remove" : "removed", path);
    return true;
}

static FALLIBLE put_link(const struct install *o, struct err *err)
{
    AUTO(buffer) struct buffer at = { 0 }, target = { 0 };

    place(o, DEVELOPMENT_SHIM, &at);
    buffer_printf(&target, "%s/containerd-shim-cloister-v2", o->programs);
    if (!o->only_shows) {
        (void) unlink(buffer_text(&at)); /* of an earlier installation; what cannot be removed is told by the next */
        if (symlink(buffer_text(&target), buffer_text(&at)) < 0)
            return err_os(err, "%s", DEVELOPMENT_SHIM);
    }
    printf("%s %s -> %s\n", o->only_shows ? "would link" : "linked", DEVELOPMENT_SHIM, buffer_text(&target));
    return true;
}

static FALLIBLE remove_link(const struct install *o, struct err *err)
{
    AUTO(buffer) struct buffer at = { 0 };
    struct stat                st;

    place(o, DEVELOPMENT_SHIM, &at);
    return lstat(buffer_text(&at), &st) < 0 || !S_ISLNK(st.st_mode) || remove_file(o, DEVELOPMENT_SHIM, err);
}

static FALLIBLE put_files(const struct install *o, struct err *err)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        AUTO(buffer) struct buffer content = { 0 };

        if (files[i].needs && !is_there(o, files[i].needs))
            continue;
        if (files[i].is_settings && is_there(o, files[i].path)) {
            printf("kept %s\n", files[i].path);
            continue;
        }
        files[i].write(o, &content);
        if (!put_file(o, files[i].path, buffer_bytes(&content), err))
            return false;
    }
    return !o->links_shim || put_link(o, err);
}

/* As it was written for the one or the other kind of containerd. */
static bool is_as_written(const struct install *o, const struct file_row *row, struct bytes there)
{
    struct install variant = *o;
    bool           found   = false;

    for (int shared = 0; shared < 2; shared++) {
        AUTO(buffer) struct buffer ours = { 0 };

        variant.is_shared = shared;
        row->write(&variant, &ours);
        found |= bytes_equal(buffer_bytes(&ours), there);
    }
    return found;
}

/* Settings that were changed since are the administrator's. */
static FALLIBLE remove_files(const struct install *o, struct err *err)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        AUTO(buffer) struct buffer there = { 0 }, at = { 0 };

        place(o, files[i].path, &at);
        if (!is_there(o, files[i].path))
            continue;
        if (!file_read(buffer_text(&at), SMALL_FILE_MAX, &there, err))
            return false;
        if (files[i].is_settings && !is_as_written(o, &files[i], buffer_bytes(&there)))
            printf("kept %s: it was changed\n", files[i].path);
        else if (!remove_file(o, files[i].path, err))
            return false;
    }
    return remove_link(o, err);
}

/* ---- containerd ---- */

static FALLIBLE ask(const char *const *argv, struct buffer *words, struct err *err)
{
    int code;

    return process_run(argv, (struct bytes){ 0 }, ENGINE_WORDS_MAX, ENGINE_TIMEOUT_MS, words, &code, err) &&
           (code == 0 || fail_with(err, ERR_CONFIG, "%s %s exits with %d", argv[0], argv[1], code));
}

static FALLIBLE find_version(const struct install *o, struct containerd_choice *choice, struct err *err)
{
    static const char *const   argv[] = { "containerd", "--version", NULL };
    AUTO(buffer) struct buffer words  = { 0 };

    if (o->version)
        buffer_printf(&words, "containerd as-given %s", o->version);
    else if (!ask(argv, &words, err))
        return err->kind == ERR_NOT_FOUND ? fail_with(err, ERR_NOT_FOUND, "containerd is not in PATH; say which one it will be: --containerd 1.7")
                                          : false;
    return containerd_version_read(buffer_text(&words), &choice->major, &choice->minor, err);
}

/* containerd reads the candidate, and must find our handler in it. */
static FALLIBLE check_candidate(const struct install *o, struct bytes candidate, struct err *err)
{
    AUTO(buffer) struct buffer words = { 0 }, path = { 0 };
    AUTO(text) char           *folder = NULL;
    struct err                 ignored;

    if (o->version) {
        printf("not checked: containerd was not asked\n");
        return true;
    }
    if (!directory_make_temporary("cloister-install-", &folder, err))
        return false;
    buffer_printf(&path, "%s/config.toml", folder);
    const char *const argv[] = { "containerd", "--config", buffer_text(&path), "config", "dump", NULL };
    bool is_good = file_write(buffer_text(&path), candidate, 0600, err) && ask(argv, &words, err);
    if (!directory_remove(folder, &ignored))
        fprintf(stderr, "cloister: install: %s\n", ignored.text);
    if (!is_good)
        return context(err, "containerd does not take the new configuration; nothing was changed");
    if (!strstr(buffer_text(&words), ".runtimes." HANDLER "]") || !strstr(buffer_text(&words), "[proxy_plugins." SNAPSHOTTER_NAME "]"))
        return fail_with(err, ERR_CONFIG, "containerd read the new configuration and does not show runtime and snapshotter \"" HANDLER "\"; nothing was changed");
    printf("checked: containerd takes the new configuration\n");
    return true;
}

static FALLIBLE read_containerd(const struct install *o, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer at = { 0 };

    place(o, CONTAINERD_CONFIG, &at);
    return file_read(buffer_text(&at), CONTAINERD_CONFIG_MAX, out, err) || err->kind == ERR_NOT_FOUND;
}

static FALLIBLE add_to_containerd(struct install *o, struct err *err)
{
    AUTO(buffer) struct buffer present = { 0 }, clean = { 0 }, candidate = { 0 }, shim = { 0 };
    struct containerd_choice   choice  = { .settings = SETTINGS, .development_settings = DEVELOPMENT, .snapshotter_socket = SOCKET,
                                         .development_shim = DEVELOPMENT_SHIM };

    buffer_printf(&shim, "%s/containerd-shim-cloister-v2", o->programs);
    choice.shim = buffer_text(&shim);
    if (!read_containerd(o, &present, err) || !find_version(o, &choice, err))
        return false;
    (void) containerd_config_remove(buffer_bytes(&present), &clean); /* of an earlier installation, if there was one */
    if (!containerd_config_add(buffer_bytes(&clean), &choice, &candidate, err) ||
        !check_candidate(o, buffer_bytes(&candidate), err))
        return false;
    o->is_shared  = choice.major == 1 && choice.minor < 7;
    o->links_shim = choice.major >= 2;
    if (o->is_shared)
        printf("note: before containerd 1.7 one snapshotter serves all pods of a node; plain images go on as before\n");
    return put_file(o, CONTAINERD_CONFIG, buffer_bytes(&candidate), err);
}

static FALLIBLE remove_from_containerd(const struct install *o, struct err *err)
{
    AUTO(buffer) struct buffer present = { 0 }, clean = { 0 };

    if (!read_containerd(o, &present, err))
        return false;
    if (!containerd_config_remove(buffer_bytes(&present), &clean))
        return true;
    return clean.len > 0 ? put_file(o, CONTAINERD_CONFIG, buffer_bytes(&clean), err) : remove_file(o, CONTAINERD_CONFIG, err);
}

/* ---- the services ---- */

/* What is to be run now, in order; those that fail are said and left to the administrator. */
static void reload(const struct install *o, const char *const (*commands)[5])
{
    bool can = !o->no_reload && !o->only_shows && o->root[0] == 0 && access("/run/systemd/system", F_OK) == 0;

    for (; (*commands)[0]; commands++) {
        AUTO(buffer) struct buffer words = { 0 };
        struct err                 err;

        printf("%s:", can ? "ran" : "now run");
        for (size_t i = 0; i < 5 && (*commands)[i]; i++)
            printf(" %s", (*commands)[i]);
        printf("\n");
        if (can && !ask(*commands, &words, &err))
            fprintf(stderr, "cloister: %s\n", err.text);
    }
}

static FALLIBLE install_node(struct install *o, struct err *err)
{
    static const char *const commands[][5] = { { "systemctl", "daemon-reload" },
                                               { "systemctl", "enable", "--now", "cloister-snapshotter" },
                                               { "systemctl", "try-restart", "containerd", "crio" },
                                               { NULL } };

    if ((o->version || is_there(o, "/etc/containerd") || !is_there(o, CRIO_FOLDER)) && !add_to_containerd(o, err))
        return false;
    if (!put_files(o, err))
        return false;
    reload(o, commands);
    return true;
}

static FALLIBLE uninstall_node(struct install *o, struct err *err)
{
    static const char *const commands[][5] = { { "systemctl", "try-restart", "containerd", "crio" },
                                               { "systemctl", "disable", "--now", "cloister-snapshotter" },
                                               { "systemctl", "daemon-reload" },
                                               { NULL } };

    if (!remove_from_containerd(o, err) || !remove_files(o, err))
        return false;
    reload(o, commands);
    return true;
}

/* Where this program lies: the others are beside it. */
static const char *own_folder(char folder[static PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);

    folder[n < 0 ? 0 : n] = 0;
    if (strrchr(folder, '/'))
        *strrchr(folder, '/') = 0;
    return folder;
}

static FALLIBLE check_paths(const struct install *o, struct err *err)
{
    return (o->programs[0] == '/' && !strpbrk(o->programs, "\"\\\n \t%")) ||
           fail_with(err, ERR_CONFIG, "--programs %.100s: an absolute path without spaces and quotes is wanted", o->programs);
}

static int run(const char *name, int argc, char **argv, FALLIBLE (*act)(struct install *o, struct err *err))
{
    char                    folder[PATH_MAX];
    struct install          o      = { .root = "", .programs = own_folder(folder) };
    const struct option_row rows[] = {
        { "root", OPTION_TEXT, &o.root, "DIR", "change the node whose files lie below DIR, as of an image", 0, 0 },
        { "programs", OPTION_TEXT, &o.programs, "DIR", "where Cloister's programs are on the node (default: where this one is)", 0, 0 },
        { "containerd", OPTION_TEXT, &o.version, "VERSION", "do not ask containerd for its version, nor to check", 0, 0 },
        { "show", OPTION_FLAG, &o.only_shows, NULL, "say what would be done, and do nothing", 0, 0 },
        { "no-reload", OPTION_FLAG, &o.no_reload, NULL, "change files only; say what is to be run", 0, 0 },
    };
    AUTO(buffer) struct buffer command = { 0 };
    buffer_printf(&command, "cloister %s", name);
    const struct option_table table = {
        buffer_text(&command), "[OPTION]... node",
        "Puts Cloister's handlers into containerd's and CRI-O's configuration of this node, or takes them out again, after\n"
        "which the files are what they were. containerd is asked whether it takes the new file before the old one is touched.",
        rows, sizeof rows / sizeof *rows, false, NULL
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err)) {
        fprintf(stderr, "cloister: %s: %s\n", name, err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n != 1 || strcmp(operands[0], "node") != 0) {
        fprintf(stderr, "cloister: %s: \"node\" is wanted; see cloister %s --help\n", name, name);
        return 2;
    }
    if (check_paths(&o, &err) && act(&o, &err))
        return 0;
    fprintf(stderr, "cloister: %s: %s\n", name, err.text);
    return 1;
}

int cmd_install(int argc, char **argv)
{
    return run("install", argc, argv, install_node);
}

int cmd_uninstall(int argc, char **argv)
{
    return run("uninstall", argc, argv, uninstall_node);
}
