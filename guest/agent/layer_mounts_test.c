#include "tests/harness/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/agent/layer_mounts.h"

/* PID 1's side in a child, the keeper's here; layers in a file system of their own. */
struct rig {
    char              *folder;
    int                fd;
    pid_t              server;
    struct layer_store store;
};

static bool ask(void *owner, unsigned upper, const unsigned *lower, size_t n, int *root_fd, struct err *err)
{
    const struct rig *r = owner;

    return layer_mounts_ask(r->fd, upper, lower, n, root_fd, err);
}

static void __attribute__((noreturn)) serve(const char *folder, int fd)
{
    static struct layer_mounts mounts;
    struct loop               *loop;
    struct err                 err;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no process behind */
    _exit(loop_new(&loop, &err) && layer_mounts_serve(&mounts, loop, folder, fd, &err) && loop_run(loop, &err) ? 0 : 1);
}

static bool rig_open(struct rig *r)
{
    int        ends[2];
    struct err err;

    *r = (struct rig){ .fd = NO_FD };
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    assert_true(directory_make_temporary("mounts-", &r->folder, &err));
    assert_int_equal(mount("tmpfs", r->folder, "tmpfs", 0, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    r->server = fork();
    assert_true(r->server >= 0);
    if (r->server == 0) {
        (void) close(ends[0]);
        serve(r->folder, ends[1]);
    }
    (void) close(ends[1]);
    r->fd    = ends[0];
    r->store = (struct layer_store){ .folder = r->folder, .overlay = ask, .owner = r, .is_apart = true };
    return true;
}

static void auto_rig(struct rig *r)
{
    struct err err;

    if (!r->folder)
        return;
    auto_fd(&r->fd);
    layer_store_free(&r->store);
    assert_int_equal(kill(r->server, SIGKILL), 0);
    assert_int_equal(waitpid(r->server, NULL, 0), r->server);
    assert_int_equal(umount(r->folder), 0); /* refused while an overlay over it is left */
    assert_true(directory_remove(r->folder, &err));
    free(r->folder);
}

static void file_put(int root_fd, const char *name, const char *content)
{
    AUTO(fd) int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    struct err   err;

    assert_true(fd >= 0 && write_all(fd, bytes_of_text(content), &err));
}

/* A layer that writes `name`, or removes it when there is no content. */
static unsigned layer_make(struct rig *r, unsigned below, const char *name, const char *content)
{
    struct layer_begun begun = NO_LAYER_BEGUN;
    struct layer_id    id    = { { (uint8_t) (r->store.n_made + 1) } };
    struct err         err;
    unsigned           number;

    if (!layer_store_begin(&r->store, below, &begun, &err))
        fail_msg("%s", err.text);
    if (content)
        file_put(begun.root_fd, name, content);
    else
        assert_int_equal(unlinkat(begun.root_fd, name, 0), 0);
    number = begun.number;
    assert_true(layer_store_end(&r->store, &begun, &id, 0, 0, &err));
    return number;
}

static void a_layer_holds_what_changes_in_those_below(void **state)
{
    AUTO(rig) struct rig r;
    struct stat          st;
    char                 path[LAYER_PATH_MAX + 2], mounts[LAYER_PATH_MAX], tree[LAYER_PATH_MAX];
    AUTO(buffer) struct buffer told = { 0 };
    struct err           err;

    (void) state;
    if (!rig_open(&r))
        skip();
    unsigned bottom = layer_make(&r, 0, "a", "1");
    layer_store_path(r.folder, bottom, tree);
    assert_int_equal(chmod(tree, 0710) | chown(tree, 5, 6), 0);
    unsigned middle = layer_make(&r, bottom, "b", "2"), top = layer_make(&r, middle, "a", NULL);

    layer_store_path(r.folder, top, tree);
    assert_true(stat(tree, &st) == 0 && (st.st_mode & 07777) == 0710 && st.st_uid == 5 && st.st_gid == 6);
    (void) snprintf(path, sizeof path, "%s/a", tree); /* fits, as the next */
    assert_true(lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0);
    (void) snprintf(path, sizeof path, "%s/b", tree);
    assert_int_not_equal(lstat(path, &st), 0); /* it is below, and only there */
    layer_store_path(r.folder, middle, tree);
    (void) snprintf(path, sizeof path, "%s/a", tree);
    assert_int_not_equal(lstat(path, &st), 0);
    layer_store_work_path(r.folder, top, mounts);
    assert_int_not_equal(access(mounts, F_OK), 0);

    /* The overlay has no place: nobody who starts meanwhile inherits it. */
    struct layer_begun begun = NO_LAYER_BEGUN;
    assert_true(layer_store_begin(&r.store, top, &begun, &err));
    assert_true(faccessat(begun.root_fd, "b", F_OK, 0) == 0 && faccessat(begun.root_fd, "a", F_OK, 0) != 0);
    assert_true(file_read("/proc/self/mountinfo", 1 << 20, &told, &err));
    assert_null(strstr(buffer_text(&told), "overlay overlay"));
    layer_store_abandon(&r.store, &begun);
    layer_store_path(r.folder, r.store.n_made, tree);
    assert_int_not_equal(access(tree, F_OK), 0);
    assert_int_equal(r.store.n, 3);
}

static void device_nodes_and_set_user_id_files_do_not_work_through_it(void **state)
{
    AUTO(rig) struct rig r;
    struct layer_begun   begun = NO_LAYER_BEGUN;
    struct err           err;

    (void) state;
    if (!rig_open(&r))
        skip();
    unsigned bottom = layer_make(&r, 0, "a", "1");
    assert_true(layer_store_begin(&r.store, bottom, &begun, &err));
    assert_int_equal(mknodat(begun.root_fd, "null", S_IFCHR | 0666, 0x103), 0);
    assert_int_equal(openat(begun.root_fd, "null", O_RDWR | O_CLOEXEC), -1);
    assert_int_equal(errno, EACCES);
    layer_store_abandon(&r.store, &begun);
}

static void what_cannot_be_made_is_said(void **state)
{
    AUTO(rig) struct rig r;
    unsigned             many[OCI_LAYERS_MAX + 1] = { 1 };
    struct layer_begun   begun = NO_LAYER_BEGUN;
    int                  fd    = NO_FD;
    struct err           err;

    (void) state;
    if (!rig_open(&r))
        skip();
    unsigned bottom = layer_make(&r, 0, "a", "1");
    assert_false(layer_mounts_ask(r.fd, 7, &bottom, 1, &fd, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_false(layer_mounts_ask(r.fd, bottom, &bottom, 0, &fd, &err));
    assert_string_equal(err.text, "overlay: 0 layers");
    assert_false(layer_mounts_ask(r.fd, bottom, many, OCI_LAYERS_MAX + 1, &fd, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(layer_store_begin(&r.store, 99, &begun, &err)); /* below: none that there is */
    assert_int_equal(err.kind, ERR_BUG);
    assert_int_equal(send(r.fd, "x", 1, MSG_NOSIGNAL), 1); /* no order: it hangs up */
    assert_false(layer_store_begin(&r.store, bottom, &begun, &err));
    assert_string_equal(err.text, "PID 1 makes no overlay");
    assert_int_equal(fd, NO_FD);
}

/* One that came for the order before would be another layer's tree. */
static void an_answer_that_comes_too_late_is_no_answer(void **state)
{
    AUTO(fd) int   keepers = NO_FD, theirs = NO_FD;
    const unsigned lower   = 1;
    struct err     late    = { 0 }, err;
    int            ends[2], fd = NO_FD;

    (void) state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    keepers = ends[0];
    theirs  = ends[1];
    assert_int_equal(fcntl(keepers, F_SETFL, O_NONBLOCK), 0); /* no patience at all */
    assert_false(layer_mounts_ask(keepers, 2, &lower, 1, &fd, &err));
    assert_string_equal(err.text, "PID 1 makes no overlay");
    (void) !send(theirs, &late, sizeof late, MSG_NOSIGNAL);
    assert_false(layer_mounts_ask(keepers, 2, &lower, 1, &fd, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_string_equal(err.text, "PID 1 makes no overlay");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_holds_what_changes_in_those_below),
        cmocka_unit_test(device_nodes_and_set_user_id_files_do_not_work_through_it),
        cmocka_unit_test(what_cannot_be_made_is_said),
        cmocka_unit_test(an_answer_that_comes_too_late_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
