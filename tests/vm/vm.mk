# SPDX-License-Identifier: MIT
# vm.mk - tests of the module in an emulated machine; included by the top Makefile
#
#:  make vm             a shell in a machine with the module loaded
#:  make check-vm       the module's tests, on the kernel KERNEL
#:  make check-kernels  these three on each of KERNELS (6.12-rt: real-time): check-vm, check-guest, check-trace
#:  make check-debug    the module's tests on a kernel with KASAN and on one with KCSAN (built first, which takes long)
#:  make check-guest    the core's own tests on /dev/shmipc, on the kernel KERNEL
#:  make check-trace    shmipc trace on /dev/shmipc, with real eBPF, on the kernel KERNEL
#:  make compare        the cost of dev against mem, on the kernel KERNEL
#:  make sample-cost    the cost of the module's sampler, on the kernel KERNEL
#:  make fence-cost     how long it takes to cut off a peer, on the kernel KERNEL
#:  make receipt-cost   the cost of a death and its receipt, on the kernel KERNEL
#:  make seal-cost      the cost of sealing a message, on the kernel KERNEL
KERNEL	?= 6.1
KERNELS	?= 6.1 6.12 6.12-rt 7
B	?= build
KSELFTEST ?= $(shell tools/setup kselftest)

# Static: the machine has only busybox.
VM_TESTS := $(patsubst %.c,$(B)/%,$(filter-out %.bpf.c,$(wildcard tests/kmod/*.c)))

$(B)/tests/kmod/%: tests/kmod/%.c $(wildcard tests/kmod/*.h) $(wildcard include/uapi/linux/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-sign-compare -Iinclude/uapi -isystem $(KSELFTEST) -static -pthread $< -o $@

# Programs for the kernel are compiled here and carried into the machine in the test; if
# the tools for that are not installed, the test skips.
EBPF	:= $(and $(shell command -v clang),$(shell command -v bpftool),$(wildcard /usr/include/bpf/libbpf.h))
EBPF_OBJ := $(B)/obj/tests/kmod

$(EBPF_OBJ)/%.skel.h: tests/kmod/%.bpf.c tests/kmod/%.h include/uapi/linux/shmipc_bpf.h
	@mkdir -p $(@D)
	clang -target bpf -D__TARGET_ARCH_x86 -O2 -g -Wall -Iinclude/uapi -isystem /usr/include/$(shell uname -m)-linux-gnu -c $< -o $(@D)/$*.bpf.o
	bpftool gen skeleton $(@D)/$*.bpf.o name $*_bpf > $@.tmp && mv $@.tmp $@

$(B)/tests/kmod/ebpf $(B)/tests/kmod/lsm: $(B)/tests/kmod/%: tests/kmod/%.c $(wildcard tests/kmod/*.h) $(wildcard include/uapi/linux/*.h) $(if $(EBPF),$(EBPF_OBJ)/%.skel.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-sign-compare $(if $(EBPF),-DWITH_EBPF) -Iinclude/uapi -I$(EBPF_OBJ) -isystem $(KSELFTEST) -pthread $< -o $@ $(if $(EBPF),-lbpf)

vm-tests: $(VM_TESTS)

# The core's programs as they are, with the libraries that they need.
check-guest:
	@$(MAKE) -s B=$(B) all tests
	@B=$(B) tests/vm/core $(KERNEL)

check-trace:
	@$(MAKE) -s B=$(B) all
	@B=$(B) tests/vm/trace $(KERNEL)

$(B)/tests/vm/compare: tests/vm/compare.c
	@mkdir -p $(@D)
	@$(MAKE) -s B=$(B) lib
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Iinclude -Iinclude/uapi -pthread $< $(B)/libshmipc.a -o $@

compare: $(B)/tests/vm/compare
	@B=$(B) tests/vm/compare-run $(KERNEL)

$(B)/tests/vm/sample-cost: tests/vm/sample-cost.c $(wildcard tests/kmod/*.h) $(wildcard include/uapi/linux/*.h)
	@mkdir -p $(@D)
	@$(MAKE) -s B=$(B) lib
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-sign-compare -Iinclude -Iinclude/uapi -isystem $(KSELFTEST) -static -pthread $< $(B)/libshmipc.a -o $@

sample-cost: $(B)/tests/vm/sample-cost
	@B=$(B) tests/vm/sample-cost $(KERNEL)

$(patsubst %,$(B)/tests/vm/%-cost,receipt fence seal): $(B)/%: %.c $(wildcard tests/kmod/*.h) $(wildcard include/uapi/linux/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-sign-compare -Iinclude/uapi -isystem $(KSELFTEST) -static -pthread $< -o $@

receipt-cost: $(B)/tests/vm/receipt-cost
	@B=$(B) tests/vm/receipt-cost $(KERNEL)

fence-cost: $(B)/tests/vm/fence-cost
	@B=$(B) tests/vm/fence-cost $(KERNEL)

seal-cost: $(B)/tests/vm/seal-cost
	@B=$(B) tests/vm/seal-cost $(KERNEL)

check-vm:
	@B=$(B) tests/vm/check $(KERNEL)

check-kernels:
	@tools/setup kernels
	@$(MAKE) -s B=$(B) all tests
	@B=$(B) tests/vm/each $(KERNELS)

check-debug:
	@tools/setup kernels
	@B=$(B) tests/vm/check-debug

vm:
	@$(MAKE) -s B=$(B) all
	@B=$(B) tests/vm/check -i $(KERNEL)

.PHONY: check-guest check-trace compare sample-cost receipt-cost fence-cost seal-cost vm vm-tests check-vm check-kernels check-debug
