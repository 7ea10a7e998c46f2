#include "runtime/vmm/qemu_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_FD = 3 };

static void add(struct qemu_command *c, const char *fmt, ...) PRINTF_LIKE(2);
static void add(struct qemu_command *c, const char *fmt, ...)
{
    va_list args;

    if (c->n_args == QEMU_ARGS_MAX)
        abort(); /* the number of arguments does not depend on anything foreign */
    va_start(args, fmt);
    if (vasprintf(&c->argv[c->n_args], fmt, args) < 0)
        abort();
    va_end(args);
    c->n_args++;
}

/* Hands `fd` to QEMU; yields its number there. */
static int pass(struct qemu_command *c, int fd)
{
    int theirs = FIRST_FD + (int) c->n_fds;

    if (c->n_fds + 2 >= QEMU_FDS_MAX) /* its standard output and error come to these */
        abort(); /* as in add */
    c->fds[c->n_fds++] = (struct process_fd){ fd, theirs };
    return theirs;
}

/* Nothing that QEMU would add by itself, no way to start programs or gain rights, no reset: a reset VM cannot be measured again. */
static void add_machine(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "qemu-system-x86_64");
    add(c, "-nodefaults");
    add(c, "-no-user-config");
    add(c, "-no-reboot");
    add(c, "-sandbox");
    add(c, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(c, "-machine");
    add(c, "q35,usb=off,smbus=off,hpet=off,vmport=off,graphics=off,i8042=off");
    add(c, "-accel");
    add(c, "%s", config->accel == ACCEL_KVM ? "kvm" : "tcg,thread=multi");
    add(c, "-cpu");
    add(c, "%s", config->accel == ACCEL_KVM ? "host,pmu=off" : "max");
    add(c, "-smp");
    add(c, "%u", config->cpus);
    add(c, "-m");
    add(c, "%u", config->memory_mib);
    add(c, "-display");
    add(c, "none");
    add(c, "-vga");
    add(c, "none");
    add(c, "-monitor");
    add(c, "none");
    add(c, "-parallel");
    add(c, "none");
}

static void add_boot_by_stage0(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-fw_cfg");
    add(c, "name=opt/org.cloister/kernel,file=/proc/self/fd/%d", pass(c, config->kernel_fd));
    add(c, "-fw_cfg");
    add(c, "name=opt/org.cloister/initrd,file=/proc/self/fd/%d", pass(c, config->initrd_fd));
    add(c, "-fw_cfg");
    add(c, "name=opt/org.cloister/cmdline,file=/proc/self/fd/%d", pass(c, config->cmdline_fd));
}

static void add_boot_by_qemu(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-kernel");
    add(c, "/proc/self/fd/%d", pass(c, config->kernel_fd));
    add(c, "-initrd");
    add(c, "/proc/self/fd/%d", pass(c, config->initrd_fd));
    add(c, "-append");
    add(c, "%s", config->append);
}

static void add_boot(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-bios");
    add(c, "/proc/self/fd/%d", pass(c, config->firmware_fd));
    switch (config->loader) {
    case VM_LOADED_BY_QEMU:
        add_boot_by_qemu(c, config);
        break;
    case VM_LOADED_BY_STAGE0:
        add_boot_by_stage0(c, config);
        break;
    }
}

static void add_devices(struct qemu_command *c, const struct vm_config *config)
{
    int fd = pass(c, config->initdata_fd);

    add(c, "-add-fd");
    add(c, "fd=%d,set=1", fd);
    add(c, "-blockdev");
    add(c, "driver=raw,node-name=initdata,read-only=on,file.driver=file,file.filename=/dev/fdset/1,file.locking=off");
    add(c, "-device");
    add(c, "virtio-blk-pci,drive=initdata,disable-legacy=on");
    add(c, "-chardev");
    add(c, "socket,id=console,fd=%d", pass(c, config->console_fd));
    add(c, "-serial");
    add(c, "chardev:console");
    add(c, "-device");
    add(c, "virtio-serial-pci,id=ports,max_ports=%d,disable-legacy=on", VM_PORTS_MAX);
    for (size_t i = 0; i < config->n_ports; i++) {
        add(c, "-chardev");
        add(c, "socket,id=port%zu,fd=%d", i, pass(c, config->ports[i].fd));
        add(c, "-device");
        add(c, "virtserialport,bus=ports.0,chardev=port%zu,name=%s", i, config->ports[i].name);
    }
}

FALLIBLE qemu_command_build(const struct vm_config *config, struct qemu_command *out, struct err *err)
{
    struct qemu_command c = { 0 };

    if (!vm_config_check(config, err))
        return false;
    if (config->tee != TEE_SIM)
        return fail_with(err, ERR_UNSUPPORTED, "--tee %s: this version launches only the simulated platform",
                         tee_name(config->tee));
    add_machine(&c, config);
    add_boot(&c, config);
    add_devices(&c, config);
    *out = c;
    return true;
}

void qemu_command_free(struct qemu_command *command)
{
    for (size_t i = 0; i < command->n_args; i++)
        free(command->argv[i]);
    *command = (struct qemu_command){ 0 };
}
