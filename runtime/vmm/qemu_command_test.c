#include "runtime/vmm/qemu_command.h"
#include "tests/harness/test.h"

#include "base/file.h"

static const struct vm_port ports[] = { { "cloister.agent", 20 }, { "cloister.blobs", 21 } };

static struct vm_config config(void)
{
    return (struct vm_config){ .tee = TEE_SIM, .accel = ACCEL_TCG, .cpus = 2, .memory_mib = 256, .firmware_fd = 10,
                               .kernel_fd = 11, .initrd_fd = 12, .append = "console=ttyS0 quiet,x=y", .initdata_fd = 13, .scratch_fd = NO_FD, .shelf_fd = NO_FD,
                               .console_fd = 14, .ports = ports, .n_ports = 2 };
}

/*
 * One argument a line, as reviewed. tests/golden/qemu_options_test.py gives the same lines to newer QEMUs.
 * CLOISTER_GOLDEN_WRITE=1 writes what is built now.
 */
static void assert_golden(const char *name, const struct vm_config *c)
{
    AUTO(qemu_command) struct qemu_command command = { 0 };
    AUTO(buffer) struct buffer             built = { 0 }, golden = { 0 };
    AUTO(text) char                       *path = NULL;
    struct err                             err;

    if (!qemu_command_build(c, &command, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < command.n_args; i++)
        buffer_printf(&built, "%s\n", command.argv[i]);
    assert_null(command.argv[command.n_args]);
    assert_true(asprintf(&path, "%s/tests/golden/runtime_vmm_qemu/%s", getenv("CLOISTER_SOURCE"), name) > 0);
    if (getenv("CLOISTER_GOLDEN_WRITE") && !file_write(path, buffer_bytes(&built), 0644, &err))
        fail_msg("%s", err.text);
    if (!file_read(path, 1 << 16, &golden, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buffer_text(&built), buffer_text(&golden));
}

static struct vm_config of_tee(enum tee tee)
{
    static const uint8_t id_block[96] = { 1 }, id_auth[4096] = { 2 };
    struct vm_config     c = config();

    c.tee   = tee;
    c.accel = tee == TEE_SNP || tee == TEE_TDX ? ACCEL_KVM : ACCEL_TCG;
    c.binding = (struct vm_binding){ .initdata_digest = { 0xff }, .snp_policy = 0x30000, .c_bit = 51, .reduced_phys_bits = 1,
                                     .cpu_model = "EPYC-v4", .id_block = BYTES_OF(id_block), .id_auth = BYTES_OF(id_auth),
                                     .has_author_key = true };
    if (tee == TEE_TPM || tee == TEE_SIM) {
        c.loader     = VM_LOADED_BY_STAGE0;
        c.cmdline_fd = 19;
        c.tpm_fd     = 21;
    }
    return c;
}

static void each_platform_has_its_golden_command_line(void **state)
{
    struct vm_config c;

    (void) state;
    c = of_tee(TEE_SIM);
    assert_golden("sim", &c);
    c = of_tee(TEE_TPM);
    assert_golden("tpm", &c);
    c.n_ports   = 0;
    c.guest_cid = 3;
    c.vsock_fd  = 22;
    assert_golden("tpm-vsock", &c);
    c = of_tee(TEE_SNP);
    assert_golden("snp", &c);
    c.n_ports   = 0;
    c.guest_cid = 0xfffffff;
    c.vsock_fd  = 22;
    assert_golden("snp-vsock", &c);
    c = of_tee(TEE_TDX);
    assert_golden("tdx", &c);
    c.binding.quote_socket = "/run/tdx-qgs/qgs.socket";
    assert_golden("tdx-quote-socket", &c);
    c.loader     = VM_LOADED_BY_STAGE0;
    c.cmdline_fd = 19;
    assert_golden("tdx-stage0", &c);
}

static void descriptors_are_numbered_as_the_command_line_names_them(void **state)
{
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    assert_true(qemu_command_build(&c, &command, &err));
    assert_int_equal(command.n_fds, 7);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(command.fds[i].ours, 10 + i);
        assert_int_equal(command.fds[i].theirs, 3 + i);
    }
}

static void a_scratch_disk_is_writable_and_known_by_its_serial(void **state)
{
    static const char *const wanted[] = { "fd=10,set=2",
        "driver=raw,node-name=scratch,discard=unmap,file.driver=file,file.filename=/dev/fdset/2,file.locking=off",
        "virtio-blk-pci,drive=scratch,serial=cloister-scratch,disable-legacy=on" };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;
    size_t                                 n_found = 0;

    (void) state;
    c.scratch_fd = 30;
    assert_true(qemu_command_build(&c, &command, &err));
    for (size_t i = 0; i < command.n_args; i++)
        if (n_found < 3 && strcmp(command.argv[i], wanted[n_found]) == 0)
            n_found++;
    assert_int_equal(n_found, 3);
    assert_int_equal(command.fds[command.n_fds - 1].ours, 30);
}

static void disks_are_known_by_their_serials(void **state)
{
    static const struct vm_disk    disks[]  = { { 30, "img-0123456789abcdef", true, false }, { 31, "other", false, true } };
    static const char *const       wanted[] = { "fd=10,set=3",
        "driver=raw,node-name=disk0,read-only=on,file.driver=file,file.filename=/dev/fdset/3,file.locking=off",
        "virtio-blk-pci,drive=disk0,serial=img-0123456789abcdef,disable-legacy=on", "fd=11,set=4",
        "driver=raw,node-name=disk1,read-only=off,file.driver=host_device,file.filename=/dev/fdset/4,file.locking=off",
        "virtio-blk-pci,drive=disk1,serial=other,disable-legacy=on" };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_disk                         odd     = { 30, "a,b", true, false };
    struct vm_config                       c       = config();
    struct err                             err;
    size_t                                 n_found = 0;

    (void) state;
    c.disks   = disks;
    c.n_disks = 2;
    assert_true(qemu_command_build(&c, &command, &err));
    for (size_t i = 0; i < command.n_args; i++)
        if (n_found < 6 && strcmp(command.argv[i], wanted[n_found]) == 0)
            n_found++;
    assert_int_equal(n_found, 6);
    assert_int_equal(command.fds[command.n_fds - 1].ours, 31);
    c.disks   = &odd;
    c.n_disks = 1;
    assert_false(vm_config_check(&c, &err));
    assert_int_equal(err.kind, ERR_BUG);
    c.n_disks = VM_DISKS_MAX + 1;
    assert_false(vm_config_check(&c, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

static void a_shelf_comes_over_a_socket(void **state)
{
    static const char *const wanted[] = { "driver=nbd,node-name=shelf,server.type=fd,server.str=10",
                                          "virtio-blk-pci,drive=shelf,serial=cloister-shelf,disable-legacy=on" };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;
    size_t                                 n_found = 0;

    (void) state;
    c.shelf_fd = 33;
    assert_true(qemu_command_build(&c, &command, &err));
    for (size_t i = 0; i < command.n_args; i++)
        if (n_found < 2 && strcmp(command.argv[i], wanted[n_found]) == 0)
            n_found++;
    assert_int_equal(n_found, 2);
    assert_int_equal(command.fds[command.n_fds - 1].ours, 33);
    assert_int_equal(command.fds[command.n_fds - 1].theirs, 10);
}

static void stage0_gets_the_blobs_unedited(void **state)
{
    static const char *const wanted[] = { "name=opt/org.cloister/kernel,file=/proc/self/fd/4",
        "name=opt/org.cloister/initrd,file=/proc/self/fd/5", "name=opt/org.cloister/cmdline,file=/proc/self/fd/6" };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;
    size_t                                 n_found = 0;

    (void) state;
    c.loader     = VM_LOADED_BY_STAGE0;
    c.cmdline_fd = 19;
    assert_true(qemu_command_build(&c, &command, &err));
    for (size_t i = 0; i < command.n_args; i++) {
        assert_string_not_equal(command.argv[i], "-kernel");
        assert_string_not_equal(command.argv[i], "-append");
        if (strcmp(command.argv[i], "-fw_cfg") == 0)
            assert_string_equal(command.argv[i + 1], wanted[n_found++]);
    }
    assert_int_equal(n_found, 3);
    assert_int_equal(command.fds[3].ours, 19);
}

static void a_nic_is_a_descriptor_and_a_hardware_address(void **state)
{
    static const struct vm_nic             nics[2] = { { 30, { 2, 0, 0, 0, 0, 1 } }, { 31, { 2, 0xab, 0, 0, 0, 2 } } };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    c.nics   = nics;
    c.n_nics = 2;
    assert_true(qemu_command_build(&c, &command, &err));
    assert_string_equal(command.argv[command.n_args - 3], "tap,id=net1,fd=11");
    assert_string_equal(command.argv[command.n_args - 1],
                        "virtio-net-pci,netdev=net1,mac=02:ab:00:00:00:02,romfile=,disable-legacy=on");
    assert_int_equal(command.fds[command.n_fds - 1].ours, 31);
    assert_int_equal(command.fds[command.n_fds - 1].theirs, 11);
    c.n_nics = VM_NICS_MAX + 1;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "9 network interfaces; at most 8 fit");
}

static void kvm_changes_accelerator_and_cpu_only(void **state)
{
    AUTO(qemu_command) struct qemu_command tcg = { 0 }, kvm = { 0 };
    struct vm_config                       c   = config();
    struct err                             err;
    size_t                                 n_different = 0;

    (void) state;
    assert_true(qemu_command_build(&c, &tcg, &err));
    c.accel = ACCEL_KVM;
    assert_true(qemu_command_build(&c, &kvm, &err));
    assert_int_equal(tcg.n_args, kvm.n_args);
    for (size_t i = 0; i < tcg.n_args; i++)
        n_different += strcmp(tcg.argv[i], kvm.argv[i]) != 0;
    assert_int_equal(n_different, 2);
}

static void a_quote_socket_with_a_comma_is_refused(void **state)
{
    struct qemu_command command;
    struct vm_config    c = of_tee(TEE_TDX);
    struct err          err;

    (void) state;
    c.binding.quote_socket = "/run/x,y";
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "path of the quote generation service: letters, digits, / . _ - are possible");
}

static void on_snp_only_what_qemu_measures_is_loaded(void **state)
{
    struct qemu_command command;
    struct vm_config    c = of_tee(TEE_SNP);
    struct err          err;

    (void) state;
    c.loader = VM_LOADED_BY_STAGE0;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_BUG);
}

static void a_confidential_launch_without_kvm_is_refused(void **state)
{
    struct qemu_command command;
    struct vm_config    c = config();
    struct err          err;

    (void) state;
    c.tee               = TEE_SNP;
    c.binding.cpu_model = "EPYC-v4";
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "--tee snp needs KVM");
    c.accel             = ACCEL_KVM;
    c.binding.cpu_model = "EPYC-v4,x=y";
    assert_false(qemu_command_build(&c, &command, &err));
    c.binding.cpu_model    = "EPYC-v4";
    c.binding.id_block.len = 95;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

static void refuses_what_it_could_not_honour(void **state)
{
    static const struct vm_port    forged[] = { { "a,path=/etc/passwd", 20 } };
    struct qemu_command            command;
    struct vm_config               c;
    struct err                     err;
    char                           long_append[VM_APPEND_MAX + 2] = { 0 };

    (void) state;
    c = config();
    c.cpus = 0;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "0 CPUs; 1 to 64 are possible");
    c = config();
    c.memory_mib = 63;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "63 MiB of memory; 64 to 1048576 are possible");
    c = config();
    memset(long_append, 'x', VM_APPEND_MAX + 1);
    c.append = long_append;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    c = config();
    c.guest_cid = 3;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "vsock and 2 ports");
    c = config();
    c.ports = forged;
    c.n_ports = 1;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_BUG);
}

/* A guest could write to an image that it shared by DAX, and leave a shared file system's daemon: neither is ever there. */
static void CVE_2026_24834_GHSA_wwj6_vghv_5p64_nothing_is_shared_with_the_host(void **state)
{
    static const char *const never[] = { "pmem", "nvdimm", "virtiofs", "vhost-user", "virtio-9p", "fsdev", "-virtfs", "ivshmem",
                                         "vhost-vsock", "mem-path", "-monitor unix", "-qmp", "-gdb", "-incoming", "-S" };

    (void) state;
    for (enum tee tee = TEE_SNP; tee <= TEE_SIM; tee++) {
        AUTO(qemu_command) struct qemu_command command = { 0 };
        struct vm_config                       c       = of_tee(tee);
        struct err                             err;

        if (!qemu_command_build(&c, &command, &err))
            fail_msg("%s", err.text);
        for (size_t i = 0; i < command.n_args; i++)
            for (size_t j = 0; j < sizeof never / sizeof *never; j++)
                if (strcmp(never[j], "-S") == 0 ? strcmp(command.argv[i], "-S") == 0 : strstr(command.argv[i], never[j]) != NULL)
                    fail_msg("%s on the command line of a VM", command.argv[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_platform_has_its_golden_command_line),
        cmocka_unit_test(descriptors_are_numbered_as_the_command_line_names_them),
        cmocka_unit_test(a_scratch_disk_is_writable_and_known_by_its_serial),
        cmocka_unit_test(disks_are_known_by_their_serials),
        cmocka_unit_test(a_shelf_comes_over_a_socket),
        cmocka_unit_test(stage0_gets_the_blobs_unedited),
        cmocka_unit_test(a_nic_is_a_descriptor_and_a_hardware_address),
        cmocka_unit_test(kvm_changes_accelerator_and_cpu_only),
        cmocka_unit_test(a_quote_socket_with_a_comma_is_refused),
        cmocka_unit_test(on_snp_only_what_qemu_measures_is_loaded),
        cmocka_unit_test(a_confidential_launch_without_kvm_is_refused),
        cmocka_unit_test(refuses_what_it_could_not_honour),
        cmocka_unit_test(CVE_2026_24834_GHSA_wwj6_vghv_5p64_nothing_is_shared_with_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
