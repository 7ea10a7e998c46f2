#include "firmware/stage0/chipset.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_VALUE = 0xcfc };
enum { MCH = 0x000000, LPC = 0x00f800 }; /* device 0 and device 31, function 0, as CONFIG_ADDRESS has them */
enum { MCH_ID = 0x29c08086, LPC_ID = 0x29188086 };
enum { MCH_PCIEXBAR = 0x60, LPC_PMBASE = 0x40, LPC_ACPI_CONTROL = 0x44, LPC_PIRQ_A = 0x60, LPC_PIRQ_E = 0x68 };
enum { PM_IO_BASE = 0x600, ACPI_ENABLE = 0x80, PIRQ_A_TO_D = 0x0b0b0a0a };
enum { MSR_MTRR_DEFAULT = 0x2ff, MSR_MTRR_BASE0 = 0x200, MSR_MTRR_MASK0 = 0x201 };
enum { MTRR_ENABLED = 0x800, WRITE_BACK = 6, UNCACHED = 0, CPUID_HAS_MTRR = 1 << 12 };

static uint32_t config_read(const struct machine *m, uint32_t device, uint32_t at)
{
    port_out(m, CONFIG_ADDRESS, 4, 1U << 31 | device | at);
    return port_in(m, CONFIG_VALUE, 4);
}

static void config_write(const struct machine *m, uint32_t device, uint32_t at, uint32_t value)
{
    port_out(m, CONFIG_ADDRESS, 4, 1U << 31 | device | at);
    port_out(m, CONFIG_VALUE, 4, value);
}

void chipset_open(struct machine *m)
{
    if (config_read(m, MCH, 0) != MCH_ID || config_read(m, LPC, 0) != LPC_ID)
        return;
    config_write(m, MCH, MCH_PCIEXBAR + 4, 0);
    config_write(m, MCH, MCH_PCIEXBAR, CHIPSET_MMCONFIG | 1);
    config_write(m, LPC, LPC_PMBASE, PM_IO_BASE | 1);
    config_write(m, LPC, LPC_ACPI_CONTROL, ACPI_ENABLE);
    config_write(m, LPC, LPC_PIRQ_A, PIRQ_A_TO_D);
    config_write(m, LPC, LPC_PIRQ_E, PIRQ_A_TO_D);
    m->has_q35 = true;
}

static void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t) value), "d"((uint32_t) (value >> 32)));
}

void chipset_set_caching(const struct machine *m)
{
    if (m->kind != STAGE0_PLAIN || (machine_cpuid(m, 1, 0).edx & CPUID_HAS_MTRR) == 0)
        return;

    uint32_t width = machine_cpuid(m, 0x80000000, 0).eax >= 0x80000008 ? machine_cpuid(m, 0x80000008, 0).eax & 63 : 36;
    uint64_t all   = (1ULL << width) - 1;
    uint64_t hole  = memory_map_is_ram(&m->map, 0x80000000, 0x80001000) ? 0xc0000000 : 0x80000000;

    msr_write(MSR_MTRR_BASE0, hole | UNCACHED);
    msr_write(MSR_MTRR_MASK0, (all & ~((1ULL << 32) - hole - 1)) | MTRR_ENABLED);
    msr_write(MSR_MTRR_DEFAULT, MTRR_ENABLED | WRITE_BACK);
}
