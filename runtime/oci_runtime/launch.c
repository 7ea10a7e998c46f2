#include "runtime/oci_runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <poll.h>
#include <termios.h>

#include "base/file.h"
#include "base/loop.h"
#include "keys/api/initdata.h"
#include "runtime/oci_runtime/control.h"
#include "runtime/oci_runtime/given_files.h"
#include "runtime/oci_runtime/monitor.h"
#include "runtime/oci_runtime/packed_root.h"
#include "runtime/shim/limits.h"

#define SYSTEM_SETTINGS  "/etc/cloister/runtime.toml"
#define IMAGE_ANNOTATION "io.cloister.image"
#define FILES_ANNOTATION "io.cloister.files"

enum { REASON_MAX = 4096, INITDATA_MAX = 1 << 20 };

/* All that a monitor needs; release with AUTO(bundle). */
struct bundle {
    struct container_spec spec;
    struct settings       settings;
    struct buffer         initdata;
    char                  manifest[LAYOUT_DIGEST_LEN];
    char                 *layout;
    const char           *image_name;
    struct host_volumes  *files; /* owned */
};

static void auto_bundle(struct bundle *b)
{
    container_spec_free(&b->spec);
    settings_free(&b->settings);
    buffer_free(&b->initdata);
    if (b->files)
        host_volumes_free(b->files);
    free(b->files);
    free(b->layout);
}

/* ---- what is to run ---- */

static const char *annotation_of(const struct container_spec *spec, const char *name)
{
    return json_object_get_string(json_object_object_get(json_object_object_get(spec->document, "annotations"), name));
}

static FALLIBLE read_settings(const char *path, struct settings *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (!path && access(SYSTEM_SETTINGS, F_OK) != 0) {
        settings_default(out);
        return true;
    }
    return (file_read(path ? path : SYSTEM_SETTINGS, SHIM_SETTINGS_MAX, &text, err) && settings_read(buffer_bytes(&text), out, err)) ||
           contextf(err, "settings %.100s", path ? path : SYSTEM_SETTINGS);
}

static FALLIBLE find_initdata(struct bundle *b, struct err *err)
{
    if (b->spec.initdata)
        return initdata_annotation_read(b->spec.initdata, &b->initdata, err) || context(err, "initdata annotation");
    if (!b->settings.development || !b->settings.initdata)
        return fail_with(err, ERR_CONFIG, "initdata: none came as annotation io.cloister.initdata, and the settings are not development ones with an initdata of their own");
    return file_read(b->settings.initdata, INITDATA_MAX, &b->initdata, err) || context(err, "initdata");
}

static FALLIBLE pack_root(struct bundle *b, const char *folder, const char *bundle, struct err *err)
{
    AUTO(buffer) struct buffer user = { 0 };
    AUTO(text) char           *root = NULL, *whole = NULL;
    struct json_object        *at = NULL, *process = json_object_object_get(b->spec.document, "process");
    struct json_object        *who = json_object_object_get(process, "user");
    const char                *path, *cwd = json_object_get_string(json_object_object_get(process, "cwd"));

    if (!json_get(b->spec.document, "root", json_type_object, &at, err) || !json_get_text(at, "path", &path, err))
        return context(err, "config.json");
    if (asprintf(&root, "%s%s%s", *path == '/' ? "" : bundle, *path == '/' ? "" : "/", path) < 0)
        abort();
    whole = realpath(root, NULL);
    if (!whole)
        return err_os(err, "root file system %s", root);
    fprintf(stderr, "cloister-runtime: warning: NOT CONFIDENTIAL: %s is packed on this host, which can read it; "
                    "name an encrypted image with the annotation " IMAGE_ANNOTATION "\n", whole);
    buffer_printf(&user, "%lld:%lld", (long long) json_object_get_int64(json_object_object_get(who, "uid")),
                  (long long) json_object_get_int64(json_object_object_get(who, "gid")));
    if (asprintf(&b->layout, "%s/image", folder) < 0)
        abort();
    struct packed_root_options options = { whole, b->layout, buffer_text(&user), cwd && *cwd ? cwd : "/" };
    b->image_name = "packed root file system";
    return packed_root_make(&options, b->manifest, err);
}

static FALLIBLE find_image(struct bundle *b, const char *folder, const char *bundle, struct err *err)
{
    struct layout_reference reference;
    const char             *name = annotation_of(&b->spec, IMAGE_ANNOTATION);

    if (!name)
        return pack_root(b, folder, bundle, err);
    if (!layout_reference_read(name, &reference, err) || !layout_find_manifest(&reference, b->manifest, err))
        return context(err, "annotation " IMAGE_ANNOTATION);
    if (reference.directory[0] != '/')
        return fail_with(err, ERR_CONFIG, "annotation " IMAGE_ANNOTATION ": an absolute path is wanted");
    b->layout = strdup(reference.directory);
    if (!b->layout)
        abort();
    b->image_name = name;
    return true;
}

static FALLIBLE find_files(struct bundle *b, struct err *err)
{
    bool        is_confidential = annotation_of(&b->spec, IMAGE_ANNOTATION) != NULL;
    const char *wanted          = annotation_of(&b->spec, FILES_ANNOTATION);

    if (!given_files_check(&b->spec, is_confidential, err))
        return false;
    b->files = calloc(1, sizeof *b->files);
    if (!b->files)
        abort();
    return (is_confidential && !(wanted && strcmp(wanted, "true") == 0)) || given_files_read(&b->spec, b->files, err);
}

static FALLIBLE read_bundle(const char *bundle, const char *folder, const char *settings, struct bundle *b, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 }, path = { 0 };

    buffer_printf(&path, "%s/config.json", bundle);
    if (!file_read(buffer_text(&path), SHIM_SPEC_MAX, &text, err) || !container_spec_read(buffer_bytes(&text), &b->spec, err) ||
        !read_settings(settings, &b->settings, err))
        return false;
    return find_initdata(b, err) && find_image(b, folder, bundle, err) && find_files(b, err);
}

/* ---- its standard streams ---- */

static FALLIBLE send_console(const char *path, int master, const char *name, struct err *err)
{
    AUTO(fd) int       s       = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    union { struct cmsghdr align; uint8_t at[CMSG_SPACE(sizeof(int))]; } beside = { 0 };
    struct iovec  piece = { (char *) (uintptr_t) name, strlen(name) }; /* only read */
    struct msghdr whole = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = beside.at, .msg_controllen = sizeof beside.at };

    if (strlen(path) >= sizeof address.sun_path)
        return fail_with(err, ERR_CONFIG, "--console-socket: a path over %zu bytes", sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (s < 0 || connect(s, (struct sockaddr *) &address, sizeof address) < 0)
        return err_os(err, "console socket %s", path);
    struct cmsghdr *head = CMSG_FIRSTHDR(&whole);
    *head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
    memcpy(CMSG_DATA(head), &master, sizeof master);
    return sendmsg(s, &whole, MSG_NOSIGNAL) >= 0 || err_os(err, "console socket %s", path);
}

/* The engine gets the master; bytes pass the slave as they are, since the guest has the terminal's other side. */
static FALLIBLE open_terminal(const char *console_socket, int fds[static 3], struct err *err)
{
    AUTO(fd) int   master = NO_FD, slave = NO_FD;
    struct termios raw;
    char           name[64];

    if (!console_socket)
        return fail_with(err, ERR_CONFIG, "a terminal is wanted: where to? give --console-socket");
    if (openpty(&master, &slave, name, NULL, NULL) < 0 || tcgetattr(slave, &raw) < 0)
        return err_os(err, "terminal");
    cfmakeraw(&raw);
    if (tcsetattr(slave, TCSANOW, &raw) < 0)
        return err_os(err, "terminal");
    if (!send_console(console_socket, master, name, err))
        return false;
    for (size_t i = 0; i < 3; i++)
        if ((fds[i] = fcntl(slave, F_DUPFD_CLOEXEC, 3)) < 0)
            return err_os(err, "terminal");
    return true;
}

static FALLIBLE take_streams(bool terminal, const char *console_socket, int fds[static 3], struct err *err)
{
    if (terminal)
        return open_terminal(console_socket, fds, err);
    for (int i = 0; i < 3; i++)
        if ((fds[i] = fcntl(i, F_DUPFD_CLOEXEC, 3)) < 0)
            return err_os(err, "standard streams");
    return true;
}

static void close_streams(int fds[static 3])
{
    for (size_t i = 0; i < 3; i++) {
        auto_fd(&fds[i]);
        fds[i] = NO_FD;
    }
}

/* ---- the process that stays ---- */

/* A session of its own; 0, 1 and 2 lead nowhere; the terminal, when there is one, tells it of new sizes. */
static void become_daemon(bool terminal, int slave)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void) prctl(PR_SET_PDEATHSIG, 0); /* it outlives who made it */
    (void) setsid();                   /* it was just forked: it leads no group */
    for (int i = 0; i < 3 && nowhere >= 0; i++)
        (void) dup2(nowhere, i); /* what cannot be redirected stays open, and the engine sees that */
    auto_fd(&nowhere);
    if (terminal)
        (void) ioctl(slave, TIOCSCTTY, 0); /* without it sizes do not change */
}

static FALLIBLE write_pid_file(const char *path, pid_t pid, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    buffer_printf(&text, "%d", pid);
    return !path || file_write(path, buffer_bytes(&text), 0644, err);
}

/* An empty line, or the reason. A process that ends without a word has its reason, too. */
static FALLIBLE await_word(int fd, const char *who, struct err *err)
{
    char    word[REASON_MAX];
    size_t  n = 0;
    ssize_t got;

    while (n < sizeof word - 1 && ((got = read(fd, word + n, sizeof word - 1 - n)) > 0 || (got < 0 && errno == EINTR)))
        n += got > 0 ? (size_t) got : 0;
    word[n] = 0;
    if (n == 1)
        return true;
    return fail_with(err, ERR_CONFIG, "%.240s", n > 1 ? strtok_r(word, "\n", &(char *){ 0 }) : who);
}

static FALLIBLE fork_monitor(struct monitor_options *monitor, pid_t *out, struct err *err)
{
    AUTO(fd) int ours = NO_FD, theirs = NO_FD;
    int          ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_os(err, "pipe");
    ours   = ends[0];
    theirs = ends[1];
    if (unshare(CLONE_NEWPID) < 0)
        return err_os(err, "PID namespace");
    pid_t pid = fork();
    if (pid < 0)
        return err_os(err, "fork");
    if (pid == 0) {
        auto_fd(&ours);
        monitor->ready_fd = TAKE_FD(theirs);
        become_daemon(monitor->spec->process.terminal, monitor->fds[0]);
        _exit(monitor_run(monitor));
    }
    auto_fd(&theirs);
    theirs = NO_FD;
    close_streams(monitor->fds);
    *out = pid;
    if (await_word(ours, "the monitor ended", err))
        return true;
    (void) kill(pid, SIGKILL);       /* a child of ours that is not waited for is still there */
    (void) waitpid(pid, NULL, 0);    /* as above */
    return false;
}

FALLIBLE launch_container(const char *root, const char *id, const struct launch_options *options, pid_t *monitor, struct err *err)
{
    AUTO(container_state) struct container_state state = { 0 };
    AUTO(bundle) struct bundle                   b     = { 0 };
    struct err                                   ignored;
    AUTO(text) char *bundle = realpath(options->bundle, NULL);

    if (!bundle)
        return err_os(err, "bundle %s", options->bundle);
    if (!container_state_new(root, id, bundle, &state, err))
        return false;
    struct monitor_options m = { .driver = &sandbox_machine, .folder = state.folder, .settings = &b.settings, .spec = &b.spec, .manifest = b.manifest,
                                 .fds = { NO_FD, NO_FD, NO_FD }, .ready_fd = NO_FD };
    bool made = read_bundle(bundle, state.folder, options->settings, &b, err);
    if (made) {
        m.initdata        = buffer_bytes(&b.initdata);
        m.layout          = b.layout;
        m.image_name      = b.image_name;
        m.files           = b.files;
        state.annotations = json_object_get(json_object_object_get(b.spec.document, "annotations"));
        made = take_streams(b.spec.process.terminal, options->console_socket, m.fds, err) && fork_monitor(&m, monitor, err);
        close_streams(m.fds);
    }
    made = made && process_mark_of(*monitor, &state.monitor, err) && container_state_save(&state, err) &&
           write_pid_file(options->pid_file, *monitor, err);
    if (!made && !container_state_remove(&state, &ignored))
        fprintf(stderr, "cloister-runtime: %s\n", ignored.text);
    return made;
}

/* ---- one more process ---- */

static void say(int fd, const char *word, int number)
{
    AUTO(json) struct json_object *message = json_object_new_object();
    struct err                     err;

    json_add_text(message, "do", word);
    json_add(message, "signal", json_object_new_int(number));
    if (!control_send(fd, message, NULL, 0, &err))
        _exit(137); /* the container is gone */
}

/* Stands for the process until it ends; signals pass on to it. */
static int stand_for(int control, int signals)
{
    for (;;) {
        struct pollfd ends[2] = { { .fd = control, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
        struct signalfd_siginfo came;

        if (poll(ends, 2, -1) < 0)
            continue;
        if (ends[1].revents && read(signals, &came, sizeof came) == sizeof came)
            say(control, "signal", (int) came.ssi_signo);
        if (ends[0].revents) {
            AUTO(json) struct json_object *message = NULL;
            int                            none[CONTROL_FDS_MAX];
            uint64_t                       code;
            struct err                     err;

            if (!control_receive(control, &message, none, &err) || !json_get_u64(message, "exit", 255, &code, &err))
                return 137;
            return (int) code;
        }
    }
}

static int exec_child(int control, bool terminal, int slave)
{
    static const int passed[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM };
    int              signals;
    struct err       err;

    become_daemon(terminal, slave);
    if (!loop_signal_fd(passed, sizeof passed / sizeof *passed, &signals, &err))
        return 137;
    return stand_for(control, signals);
}

static FALLIBLE ask_for_process(int control, const char *text, int fds[static 3], struct err *err)
{
    AUTO(json) struct json_object *request = json_object_new_object(), *answer = NULL;
    int                            none[CONTROL_FDS_MAX];
    struct json_object            *why;

    json_add_text(request, "do", "exec");
    json_add_text(request, "process", text);
    if (!control_send(control, request, fds, 3, err) || !control_receive(control, &answer, none, err))
        return false;
    return !json_object_object_get_ex(answer, "error", &why) || fail_with(err, ERR_CONFIG, "%.200s", json_object_get_string(why));
}

static void add_text(struct json_object *list, const char *text)
{
    if (json_object_array_add(list, json_object_new_string(text)) != 0)
        abort();
}

/* Numbers only: names are the image's, which this host may not be able to read. */
static FALLIBLE add_user(struct json_object *document, const char *text, struct err *err)
{
    struct json_object *user = json_object_new_object();
    const char         *gid  = strchr(text, ':');
    char               *end;

    json_add(document, "user", user);
    if (*text < '0' || *text > '9' || strspn(text, "0123456789:") != strlen(text) || (gid && (gid[1] == 0 || strchr(gid + 1, ':'))))
        return fail_with(err, ERR_CONFIG, "--user %.40s: UID[:GID] is wanted", text);
    json_add(user, "uid", json_object_new_int64(strtoll(text, &end, 10)));
    json_add(user, "gid", json_object_new_int64(gid ? strtoll(gid + 1, &end, 10) : 0));
    return true;
}

static FALLIBLE write_process(const struct launch_exec_options *options, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *document = json_object_new_object();
    struct json_object            *list = json_object_new_array(), *env = json_object_new_array();

    json_add(document, "args", list);
    json_add(document, "env", env);
    for (size_t i = 0; options->args[i]; i++)
        add_text(list, options->args[i]);
    for (size_t i = 0; options->env && i < options->env->n; i++) {
        if (*options->env->at[i] == '=' || !strchr(options->env->at[i], '='))
            return fail_with(err, ERR_CONFIG, "--env %.80s: NAME=VALUE is wanted", options->env->at[i]);
        add_text(env, options->env->at[i]);
    }
    if (options->cwd && *options->cwd != '/')
        return fail_with(err, ERR_CONFIG, "--cwd %.80s: an absolute path is wanted", options->cwd);
    if (options->cwd)
        json_add_text(document, "cwd", options->cwd);
    if (options->user && !add_user(document, options->user, err))
        return false;
    json_write(document, out);
    return true;
}

FALLIBLE launch_exec(const struct container_state *state, const struct launch_exec_options *options, pid_t *child, struct err *err)
{
    AUTO(buffer) struct buffer     text = { 0 };
    AUTO(json) struct json_object *document = NULL;
    struct process_spec            process = { 0 };
    AUTO(fd) int                   control = NO_FD, slave = NO_FD;
    int                            fds[3]  = { NO_FD, NO_FD, NO_FD };

    if (!options->process_file && !write_process(options, &text, err))
        return context(err, "exec");
    if (options->process_file && !file_read(options->process_file, SHIM_SPEC_MAX, &text, err))
        return context(err, "--process");
    if (!process_spec_read(buffer_bytes(&text), &document, &process, err))
        return context(err, options->process_file ? "--process" : "exec");
    bool terminal = process.terminal || options->terminal;
    process_spec_free(&process);
    json_add(document, "terminal", json_object_new_boolean(terminal));
    text.len = 0;
    json_write(document, &text);
    bool asked = control_connect(state->folder, &control, err) && take_streams(terminal, options->console_socket, fds, err) &&
                 ask_for_process(control, buffer_text(&text), fds, err);
    slave = terminal ? TAKE_FD(fds[0]) : NO_FD;
    close_streams(fds);
    if (!asked)
        return false;
    *child = fork();
    if (*child == 0)
        _exit(exec_child(control, terminal, slave));
    return (*child > 0 || err_os(err, "fork")) && write_pid_file(options->pid_file, *child, err);
}
