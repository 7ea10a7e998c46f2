#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/init/ports.h"

struct tree { char *root, *classes, *devices; };

static void add_port(const struct tree *t, const char *port, const char *name)
{
    AUTO(text) char *directory = NULL, *file = NULL, *device = NULL;
    struct err       err;

    assert_true(asprintf(&directory, "%s/%s", t->classes, port) > 0);
    assert_true(asprintf(&file, "%s/name", directory) > 0);
    assert_true(asprintf(&device, "%s/%s", t->devices, port) > 0);
    assert_true(directory_make(directory, &err));
    if (name)
        assert_true(file_write(file, bytes_of_text(name), 0644, &err));
    assert_true(file_write(device, bytes_of_text(port), 0600, &err));
}

static int open_tree(void **state)
{
    static struct tree t;
    struct err         err;

    assert_true(directory_make_temporary("ports", &t.root, &err));
    assert_true(asprintf(&t.classes, "%s/class", t.root) > 0);
    assert_true(asprintf(&t.devices, "%s/dev", t.root) > 0);
    assert_true(directory_make(t.classes, &err) && directory_make(t.devices, &err));
    add_port(&t, "vport1p0", NULL);
    add_port(&t, "vport1p1", "cloister.agent\n");
    add_port(&t, "vport1p2", "cloister.blobs\n");
    *state = &t;
    return 0;
}

static int close_tree(void **state)
{
    struct tree *t = *state;
    struct err   err;

    assert_true(directory_remove(t->root, &err));
    free(t->root);
    free(t->classes);
    free(t->devices);
    return 0;
}

static void opens_the_port_that_has_the_name(void **state)
{
    struct tree *t  = *state;
    AUTO(fd) int fd = NO_FD;
    char         content[16] = "";
    struct err   err;

    assert_true(port_open_in(t->classes, t->devices, "cloister.blobs", &fd, &err));
    assert_true(read(fd, content, sizeof content - 1) > 0);
    assert_string_equal(content, "vport1p2");
}

static void refuses_a_name_that_no_port_or_two_ports_have(void **state)
{
    struct tree *t  = *state;
    int          fd = NO_FD;
    struct err   err;

    assert_false(port_open_in(t->classes, t->devices, "cloister.blob", &fd, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "port cloister.blob: the host gave no port of this name");
    add_port(t, "vport2p1", "cloister.blobs\n");
    assert_false(port_open_in(t->classes, t->devices, "cloister.blobs", &fd, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "port cloister.blobs: two ports have this name");
    assert_int_equal(fd, NO_FD);
}

static void a_machine_without_ports_is_told(void **state)
{
    int        fd = NO_FD;
    struct err err;

    (void) state;
    assert_false(port_open_in("/nowhere", "/dev", "cloister.agent", &fd, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "port cloister.agent: this machine has no virtio-serial ports");
}

static void a_vsock_device_is_known_by_its_virtio_id(void **state)
{
    struct tree     *t = *state;
    AUTO(text) char *device = NULL, *id = NULL;
    struct err       err;

    assert_false(ports_are_vsock("/nowhere"));
    assert_true(asprintf(&device, "%s/virtio3", t->devices) > 0 && asprintf(&id, "%s/device", device) > 0);
    assert_true(directory_make(device, &err) && file_write(id, bytes_of_text("0x0002\n"), 0644, &err));
    assert_false(ports_are_vsock(t->devices));
    assert_true(file_write(id, bytes_of_text("0x0013\n"), 0644, &err));
    assert_true(ports_are_vsock(t->devices));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_the_port_that_has_the_name, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(refuses_a_name_that_no_port_or_two_ports_have, open_tree, close_tree),
        cmocka_unit_test(a_machine_without_ports_is_told),
        cmocka_unit_test_setup_teardown(a_vsock_device_is_known_by_its_virtio_id, open_tree, close_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
