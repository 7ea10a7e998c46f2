/* containerd-shim-cloister-v2: started by containerd or CRI-O for every pod; stays, as one process, while the pod lives. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "runtime/shim/daemon.h"
#include "runtime/shim/image_find.h"

#define PROGRAM       "containerd-shim-cloister-v2"
#define RUN_DIRECTORY "/run/cloister"
#define CONFIG_DIRECTORY "/etc/cloister"

static const char help[] =
    "usage: " PROGRAM " -namespace NS -id ID [-address PATH] [-publish-binary PATH] [-bundle DIR] [-debug] start|delete\n"
    "       " PROGRAM " sweep | -info | -v | features\n"
    "A container engine runs it, in the container's bundle. docs/kubernetes.md tells how to configure one.\n"
    "sweep cleans up after pods whose shim was killed and about which no engine asks any more.\n";

/* Tests have folders of their own; the same for `start` and `delete`, since engines pass their environment on. */
static const char *directory_or(const char *variable, const char *otherwise)
{
    const char *named = getenv(variable);

    return named && *named == '/' ? named : otherwise;
}

static const char *run_directory(void)
{
    return directory_or("CLOISTER_RUN_DIRECTORY", RUN_DIRECTORY);
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

static FALLIBLE current_directory(char **out, struct err *err)
{
    *out = getcwd(NULL, 0);
    return *out || err_os(err, "bundle");
}

/* The pod that a container belongs to; in a sandbox's own bundle, which may have no config.json, the id itself. */
static FALLIBLE find_sandbox(const struct invocation *invocation, const char *bundle, struct container_spec *spec,
                             const char **sandbox, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;

    *sandbox = invocation->id;
    if (asprintf(&path, "%s/config.json", bundle) < 0)
        abort();
    if (!file_read(path, SHIM_SPEC_MAX, &text, err))
        return err->kind == ERR_NOT_FOUND;
    if (!container_spec_read(buffer_bytes(&text), spec, err))
        return false;
    if (spec->sandbox_id)
        *sandbox = spec->sandbox_id;
    return true;
}

/* ---- start ---- */

/* From now on lines go to the engine's log, or nowhere; a log that no one reads holds nothing up. */
static void leave_the_engine(const char *bundle)
{
    AUTO(text) char *path = NULL;
    int              null = open("/dev/null", O_RDWR);
    int              log;

    if (asprintf(&path, "%s/log", bundle) < 0)
        abort();
    log = open(path, O_RDWR | O_NONBLOCK);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(log < 0 ? null : log, STDERR_FILENO) < 0 || setsid() < 0 || chdir("/") < 0)
        _exit(1);
}

/* Descriptors that the engine may have left open would hold its pipes open as well. */
static int keep_only(int listener)
{
    enum { LISTENER = 3 };

    if (dup2(listener, LISTENER) < 0 || syscall(SYS_close_range, LISTENER + 1, ~0U, 0) < 0 ||
        fcntl(LISTENER, F_SETFD, FD_CLOEXEC) < 0)
        _exit(1);
    return LISTENER;
}

static FALLIBLE start_daemon(const struct invocation *invocation, const char *directory, const char *bundle,
                             struct settings *settings, struct err *err)
{
    struct daemon_options options = { .invocation = invocation, .driver = &sandbox_machine, .directory = directory,
                                      .ttrpc_address = environment("TTRPC_ADDRESS"), .settings_take = settings };
    AUTO(fd) int          listener = NO_FD;

    if (!daemon_listen(directory, &listener, err))
        return false;
    pid_t pid = fork();
    if (pid < 0)
        return err_os(err, "fork");
    if (pid > 0)
        return true;
    leave_the_engine(bundle);
    options.listener_take = keep_only(listener);
    if (daemon_run(&options, err))
        _exit(0);
    log_error("the pod's shim ends", "why=\"%s\"", err->text);
    _exit(1);
}

/* The pod's first container starts its shim; engines say for each what they have configured, and it counts for the first. */
static FALLIBLE start_pod(const struct invocation *invocation, const char *program, const char *directory,
                          const char *bundle, struct err *err)
{
    AUTO(settings) struct settings settings = { 0 };
    AUTO(buffer) struct buffer     input    = { 0 };
    char                           file[SETTINGS_PATH_MAX];

    return daemon_clean_up(directory, err) && file_read_fd(STDIN_FILENO, SHIM_OPTIONS_MAX, &input, err) &&
           settings_find_file(program, directory_or("CLOISTER_CONFIG_DIRECTORY", CONFIG_DIRECTORY), file, err) &&
           settings_from_input(buffer_bytes(&input), invocation->id, file, &settings, err) &&
           start_daemon(invocation, directory, bundle, &settings, err);
}

static FALLIBLE start(const struct invocation *invocation, const char *program, struct err *err)
{
    AUTO(container_spec) struct container_spec spec    = { 0 };
    AUTO(buffer) struct buffer                 address = { 0 };
    AUTO(text) char                           *bundle  = NULL;
    struct image_note                          note;
    const char                                *sandbox;
    char at[RECORD_PATH_MAX], socket_path[DAEMON_PATH_MAX];

    (void) daemon_sweep(run_directory()); /* how many there were is nobody's question here */
    if (!current_directory(&bundle, err) || !find_sandbox(invocation, bundle, &spec, &sandbox, err) ||
        !record_directory(run_directory(), invocation->address, invocation->namespace, sandbox, at, err))
        return false;
    image_find(invocation->address, invocation->namespace, invocation->id, &note);
    if (!image_note_save(bundle, &note, err))
        return false;
    if (!daemon_answers(at) && !start_pod(invocation, program, at, bundle, err))
        return false;
    daemon_socket_path(at, socket_path);
    buffer_printf(&address, "unix://%s", socket_path);
    if (!file_write("address", buffer_bytes(&address), 0600, err))
        return false;
    return write_all(STDOUT_FILENO, buffer_bytes(&address), err); /* the form that every engine reads */
}

/* ---- delete ---- */

/*
 * Called after every end of a container, also while its pod lives, and when a shim is dead. Only then is there
 * something to end; what the engine mounted in the bundle is unmounted always.
 */
static FALLIBLE delete(const struct invocation *invocation, struct err *err)
{
    AUTO(container_spec) struct container_spec spec   = { 0 };
    AUTO(text) char                           *here   = NULL, *rootfs = NULL;
    AUTO(buffer) struct buffer                 wire   = { 0 };
    Engine__DeleteResponse                     answer = ENGINE__DELETE_RESPONSE__INIT;
    Engine__Timestamp                          at     = ENGINE__TIMESTAMP__INIT;
    const char                                *bundle, *sandbox;
    char                                       directory[RECORD_PATH_MAX];

    if (!current_directory(&here, err))
        return false;
    bundle = *invocation->bundle ? invocation->bundle : here;
    if (asprintf(&rootfs, "%s/rootfs", bundle) < 0)
        abort();
    while (umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    if (!find_sandbox(invocation, bundle, &spec, &sandbox, err))
        sandbox = invocation->id; /* a bundle that was damaged since: what is left is the id */
    if (!record_directory(run_directory(), invocation->address, invocation->namespace, sandbox, directory, err) ||
        (!daemon_answers(directory) && !daemon_clean_up(directory, err)))
        return false;
    (void) daemon_sweep(run_directory()); /* as in start */
    at.seconds         = time(NULL);
    answer.exit_status = 137;
    answer.exited_at   = &at;
    message_append(&wire, &answer.base);
    return write_all(STDOUT_FILENO, buffer_bytes(&wire), err);
}

/* ---- what nobody asks about any more ---- */

static FALLIBLE sweep(struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    unsigned                   n    = daemon_sweep(run_directory());

    buffer_printf(&text, "cleaned up after %u dead pod%s\n", n, n == 1 ? "" : "s");
    return write_all(STDOUT_FILENO, buffer_bytes(&text), err);
}

/* ---- questions ---- */

static FALLIBLE info(struct err *err)
{
    AUTO(buffer) struct buffer wire    = { 0 };
    Engine__RuntimeInfo        answer  = ENGINE__RUNTIME_INFO__INIT;
    Engine__RuntimeVersion     version = ENGINE__RUNTIME_VERSION__INIT;
    char                       name[]  = "io.containerd.cloister.v2", number[] = CLOISTER_VERSION;

    version.version = number;
    answer.name     = name;
    answer.version  = &version;
    message_append(&wire, &answer.base);
    return write_all(STDOUT_FILENO, buffer_bytes(&wire), err);
}

static FALLIBLE say(const char *text, struct err *err)
{
    return write_all(STDOUT_FILENO, bytes_of_text(text), err);
}

/* [OCI-RUNTIME features]: what CRI-O looks at, and no more than is there. */
static const char features[] = "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.2.1\",\"hooks\":[],\"mountOptions\":[],"
                               "\"linux\":{\"namespaces\":[],\"capabilities\":[],\"cgroup\":{},\"seccomp\":{\"enabled\":false},"
                               "\"apparmor\":{\"enabled\":false},\"selinux\":{\"enabled\":false}}}\n";

static FALLIBLE act(const struct invocation *invocation, const char *program, struct err *err)
{
    switch (invocation->action) {
    case INVOCATION_START:
        return start(invocation, program, err) || context(err, "start");
    case INVOCATION_DELETE:
        return delete(invocation, err) || context(err, "delete");
    case INVOCATION_SWEEP:
        return sweep(err) || context(err, "sweep");
    case INVOCATION_INFO:
        return info(err);
    case INVOCATION_VERSION:
        return say(PROGRAM " " CLOISTER_VERSION "\n", err);
    case INVOCATION_FEATURES:
        return say(features, err);
    case INVOCATION_HELP:
        return say(help, err);
    }
    return fail_with(err, ERR_BUG, "no such action");
}

int main(int argc, char **argv)
{
    struct invocation invocation = { 0 };
    struct err        err;

    if (!invocation_read(argc, argv, &invocation, &err)) {
        fprintf(stderr, PROGRAM ": %s\n%s", err.text, help);
        return 1;
    }
    log_open(PROGRAM, invocation.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (act(&invocation, argv[0], &err))
        return 0;
    fprintf(stderr, PROGRAM ": %s\n", err.text);
    return 1;
}
