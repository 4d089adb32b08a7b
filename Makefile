# SPDX-License-Identifier: MIT
# shmipc: everything that is built lands in build/
#
#:  make                library (static and shared) and command
#:  make demo           the main job: a real file from process to process, beside cat and cp
#:  make check          every kind of test, a quarter of an hour on two CPUs; GROUP="unit
#:                      stress" runs only these; tests/run --list lists them
#:  make check-all      all of each, other kernels, kernels with debugging checks: hours
#:  make check-bare     both in a Debian with nothing installed (root; debootstrap)
#:  make pictures       the pictures of the documents, from real runs (needs tmux, gnuplot)
#:  make install        into PREFIX (default /usr/local), below DESTDIR if given
#:  make uninstall      removes the same files
#:  make tsan, asan     library, command and tests with sanitizers, in build/tsan, build/asan
#:  make clean          removes build/
#:  make help           this text
#:
#:  EXTRA_CFLAGS=-DSHMIPC_NO_PROBES leaves the probes for tracers out
#:  CC=clang, CC=aarch64-linux-gnu-gcc, CPPFLAGS=, CFLAGS=, LDFLAGS= as usual; WERROR=-Werror;
#:  B=DIR builds elsewhere than in build/

VERSION	:= 0.1.0
SOMAJOR	:= 0
B	?= build
ifeq ($(origin CC),default)
CC	:= gcc
endif
# The archiver of a cross compiler: aarch64-linux-gnu-ar beside aarch64-linux-gnu-gcc.
CROSS	:= $(filter %-gcc,$(lastword $(CC)))
ifeq ($(origin AR),default)
AR	:= $(if $(CROSS),$(CROSS:gcc=ar),ar)
endif
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
INCDIR	?= $(PREFIX)/include
MANDIR	?= $(PREFIX)/share/man

WARN	:= -Wall -Wextra -Wshadow -Wconversion
CFLAGS	?= -O2 -g
# Nothing that is built names the directory that it was built in.
HERE	:= -ffile-prefix-map=$(CURDIR)=.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) -Iinclude -Iinclude/uapi -fPIC -pthread -MMD -MP $(HERE) \
	     $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS)
ALL_LDFLAGS = -pthread $(LDFLAGS) $(EXTRA_LDFLAGS)

LIB_OBJ	 := $(patsubst %.c,$(B)/obj/%.o,$(wildcard lib/*.c lib/*/*.c))
TOOL_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard tools/*.c tools/*/*.c)))
EXAMPLES := $(patsubst %.c,$(B)/%,$(wildcard examples/*.c))
# One program per file, on the harness of kselftest (see tools/setup).
TESTS	 := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*/*.c tests/stress/*.c tests/fuzz/*.c))
OBJ	 := $(LIB_OBJ) $(TOOL_OBJ) $(patsubst $(B)/%,$(B)/obj/%.o,$(TESTS) $(EXAMPLES))

all: lib $(B)/shmipc
lib: $(B)/libshmipc.a $(B)/libshmipc.so
examples: $(EXAMPLES)
tests: $(TESTS)

# If flags or compiler differ from the last build, everything is built again; the directory
# may differ, as nothing that is built depends on it. Flags that
# single objects add are private to them, so that it does not matter which goal
# comes first. If features differ, the objects that use them are built again.
stamp	= @mkdir -p $(@D); echo '$(strip $(1))' | cmp -s - $@ || echo '$(strip $(1))' > $@
$(B)/flags: FORCE
	$(call stamp,$(filter-out $(HERE),$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)))
$(B)/features: FORCE
	$(call stamp,$(PEERS) $(IOX_INC) $(LOOKS) $(DW_LIBS) $(if $(HAS_BPF),bpf))

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(WERROR) -c $< -o $@

$(B)/libshmipc.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# Threads of the library live as long as the process: dlclose() must not take their code.
$(B)/libshmipc.so.$(VERSION): $(LIB_OBJ) lib/shmipc.map
	$(CC) -shared -Wl,-soname,libshmipc.so.$(SOMAJOR) -Wl,--version-script=lib/shmipc.map -Wl,-z,nodelete \
		-o $@ $(LIB_OBJ) $(ALL_LDFLAGS)

$(B)/libshmipc.so: $(B)/libshmipc.so.$(VERSION)
	ln -sf $(<F) $(B)/libshmipc.so.$(SOMAJOR)
	ln -sf $(<F) $@

# Other libraries that `shmipc bench peers` compares with, if installed.
# $(call has,word,header,libraries,flags): the word, if both are there for what we build for.
has	= $(shell echo 'int main(void) { return 0; }' | \
	  $(CC) $(4) -include $(2) -x c - -o /dev/null $(3) >/dev/null 2>&1 && echo $(1))
IOX_INC	:= $(addprefix -isystem ,$(wildcard /usr/include/iceoryx/v2*))
PEER_zmq	:= -lzmq
PEER_nng	:= -lnng
PEER_iceoryx	:= -liceoryx_binding_c
PEERS	:= $(call has,zmq,zmq.h,$(PEER_zmq)) $(call has,nng,nng/nng.h,$(PEER_nng)) \
	   $(call has,iceoryx,iceoryx_binding_c/publisher.h,$(PEER_iceoryx),$(IOX_INC))
$(B)/obj/tools/bench/other_zmq.o: private ALL_CFLAGS += $(if $(filter zmq,$(PEERS)),-DWITH_ZMQ)
$(B)/obj/tools/bench/other_nng.o: private ALL_CFLAGS += $(if $(filter nng,$(PEERS)),-DWITH_NNG)
$(B)/obj/tools/bench/other_iceoryx.o: private ALL_CFLAGS += $(if $(filter iceoryx,$(PEERS)),-DWITH_ICEORYX $(IOX_INC))

# The eBPF programs of `shmipc trace`, if clang, bpftool and libbpf are installed: each becomes
# a header that contains it. Otherwise the command says what to install.
BPF_CLANG ?= clang
TARGET	:= $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
BPF_TARGET := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(TARGET)))
BPF_CFLAGS := -g -O2 $(HERE) $(WARN) -Wno-unused-parameter -Wno-sign-conversion -Wno-shorten-64-to-32 \
	      -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_TARGET) \
	      $(addprefix -isystem /usr/include/,$(shell $(CC) -print-multiarch))
BPF_SRC	:= $(wildcard tools/trace/*.bpf.c)
# Debian has it in a directory that users do not search.
BPFTOOL	?= $(shell PATH=$$PATH:/usr/local/sbin:/usr/sbin command -v bpftool)
HAS_BPF	:= $(and $(shell command -v $(BPF_CLANG)),$(BPFTOOL),$(call has,yes,bpf/libbpf.h,-lbpf),$(call has,yes,libelf.h,-lelf))
ifneq ($(HAS_BPF),)
BPF_SKEL := $(patsubst tools/trace/%.bpf.c,$(B)/gen/trace/%.skel.h,$(BPF_SRC))
BPF_LIBS := -lbpf -lelf
$(B)/obj/tools/trace/%.o $(B)/obj/tools/cmd/trace.o: private ALL_CFLAGS += -DWITH_BPF -isystem $(B)/gen
$(filter $(B)/obj/tools/trace/%,$(TOOL_OBJ)): $(BPF_SKEL)

$(B)/gen/trace/%.bpf.o: tools/trace/%.bpf.c $(B)/flags
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_CFLAGS) $(WERROR) -MMD -MP -c $< -o $@

# Kept: without them the next make would build them, and all that is built with them, again.
.SECONDARY: $(BPF_SKEL:.skel.h=.bpf.o)

# Linking omits what only debuggers need.
$(B)/gen/trace/%.skel.h: $(B)/gen/trace/%.bpf.o
	$(BPFTOOL) gen object $(@:.skel.h=.linked.o) $<
	$(BPFTOOL) gen skeleton $(@:.skel.h=.linked.o) name $* > $@.new
	mv $@.new $@
endif

# Libraries for top and metrics, if installed.
LOOK_ncurses	:= -lncursesw -ltinfo
LOOK_httpd	:= -lmicrohttpd
LOOKS	:= $(call has,ncurses,curses.h,$(LOOK_ncurses)) $(call has,httpd,microhttpd.h,$(LOOK_httpd))
$(B)/obj/tools/top/%.o: private ALL_CFLAGS += $(if $(filter ncurses,$(LOOKS)),-DWITH_NCURSES)
$(B)/obj/tools/metrics/%.o: private ALL_CFLAGS += $(if $(filter httpd,$(LOOKS)),-DWITH_HTTPD)

# Stacks of `shmipc trace --slow --stack`.
DW_LIBS	:= $(call has,-ldw,elfutils/libdwfl.h,-ldw)
$(B)/obj/tools/trace/stack.o: private ALL_CFLAGS += $(if $(DW_LIBS),-DWITH_DW)

$(filter $(addprefix $(B)/obj/tools/,bench/other_% cmd/trace.o metrics/% top/% trace/%),$(TOOL_OBJ)): $(B)/features

$(B)/shmipc: $(TOOL_OBJ) $(B)/libshmipc.a $(B)/features
	$(CC) -o $@ $(TOOL_OBJ) $(B)/libshmipc.a $(ALL_LDFLAGS) -ljansson -lm $(foreach p,$(PEERS),$(PEER_$(p))) \
		$(foreach l,$(LOOKS),$(LOOK_$(l))) $(BPF_LIBS) $(DW_LIBS)
	@$(if $(QUIET),:,echo "shmipc $(VERSION), with: $(or $(strip $(WITH)),nothing that is optional)")
	@$(if $(or $(QUIET),$(if $(LACKS),,none)),:,echo "left out, as packages are missing: $(strip $(LACKS))")

# What the command has, and what it lacks, with Debian's packages; for users, not with make -s.
QUIET	:= $(findstring s,$(firstword -$(MAKEFLAGS)))
WITH	:= $(if $(HAS_BPF), trace)$(if $(filter ncurses,$(LOOKS)), top)$(if $(filter httpd,$(LOOKS)), metrics)$(if $(DW_LIBS), stacks)
LACKS	:= $(if $(HAS_BPF),, trace (clang bpftool libbpf-dev libelf-dev))$(if $(filter ncurses,$(LOOKS)),, top (libncurses-dev))$(if $(filter httpd,$(LOOKS)),, metrics (libmicrohttpd-dev))$(if $(DW_LIBS),, stacks (libdw-dev))

$(EXAMPLES) $(TESTS): $(B)/%: $(B)/obj/%.o $(B)/libshmipc.a
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(ALL_LDFLAGS)

# Private headers are included with their folder.
$(B)/obj/lib/%.o: private ALL_CFLAGS += -Ilib

# The harness is in GNU C and causes warnings; unit tests may also use lib/.
$(B)/obj/tests/%.o: private ALL_CFLAGS += -std=gnu11 -Wno-conversion -Wno-unused-parameter -Ilib -Itests/lib -isystem $(KSELFTEST)
KSELFTEST := $(shell tools/setup kselftest)

tsan:
	+$(MAKE) B=$(B)/tsan EXTRA_CFLAGS='-O1 -fsanitize=thread' EXTRA_LDFLAGS=-fsanitize=thread all tests
asan:
	+$(MAKE) B=$(B)/asan EXTRA_CFLAGS='-O1 -fsanitize=address,undefined -fno-sanitize-recover=all' \
		EXTRA_LDFLAGS=-fsanitize=address,undefined all tests

demo:
	@tools/setup demo
	@echo "demo: building in $(B)"
	+@$(MAKE) -s $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) all
	@B=$(B) tools/demo

check:
	@tools/setup check
	@B=$(B) tests/run $(GROUP)

check-all:
	@tools/setup kernels
	@B=$(B) tests/run --all $(GROUP)

check-bare:
	@tests/bare $(GROUP)

# The pictures of the documents, from real runs.
pictures: $(B)/shmipc
	B=$(B) tools/pictures/top tools/trace/pictures/top.svg
	B=$(B) tools/pictures/trace tools/trace/pictures

DEST_BIN = $(DESTDIR)$(PREFIX)/bin
DEST_LIB = $(DESTDIR)$(LIBDIR)
DEST_INC = $(DESTDIR)$(INCDIR)
DEST_MAN = $(DESTDIR)$(MANDIR)
DEST_BASH = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
DEST_ZSH = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
DEST_TMP = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
MAN	:= $(wildcard lib/man/*.[1-9] tools/man/*.[1-9])

install: all
	install -d $(DEST_BIN) $(DEST_LIB)/pkgconfig $(DEST_INC)/shmipc/inline $(DEST_INC)/linux
	install -m 755 $(B)/shmipc $(DEST_BIN)
	install -m 644 $(B)/libshmipc.a $(DEST_LIB)
	install -m 755 $(B)/libshmipc.so.$(VERSION) $(DEST_LIB)
	ln -sf libshmipc.so.$(VERSION) $(DEST_LIB)/libshmipc.so.$(SOMAJOR)
	ln -sf libshmipc.so.$(VERSION) $(DEST_LIB)/libshmipc.so
	install -m 644 include/shmipc/*.h $(DEST_INC)/shmipc
	install -m 644 include/shmipc/inline/*.h $(DEST_INC)/shmipc/inline
	install -m 644 include/uapi/linux/*.h $(DEST_INC)/linux
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCDIR@|$(INCDIR)|; s|@VERSION@|$(VERSION)|' \
		shmipc.pc.in > $(B)/shmipc.pc
	install -m 644 $(B)/shmipc.pc $(DEST_LIB)/pkgconfig
	for m in $(MAN); do install -D -m 644 $$m $(DEST_MAN)/man$${m##*.}/$${m##*/} || exit; done
	tools/man/links $(MAN) | while read -r at to; do \
		echo ".so $$to" > $(DEST_MAN)/$$at && chmod 644 $(DEST_MAN)/$$at || exit; done
ifeq ($(TARGET),$(shell uname -m))
	for s in bash zsh; do $(B)/shmipc completion $$s > $(B)/completion.$$s || exit; done
	install -D -m 644 $(B)/completion.bash $(DEST_BASH)/shmipc
	install -D -m 644 $(B)/completion.zsh $(DEST_ZSH)/_shmipc
else
	@echo "no completion for shells: the command for $(TARGET), which writes it, does not run here"
endif
	install -D -m 644 tools/tmpfiles.conf $(DEST_TMP)/shmipc.conf

uninstall:
	rm -f $(DEST_BIN)/shmipc $(DEST_LIB)/libshmipc.* $(DEST_LIB)/pkgconfig/shmipc.pc
	rm -f $(patsubst include/uapi/%,$(DEST_INC)/%,$(wildcard include/uapi/linux/*.h))
	rm -rf $(DEST_INC)/shmipc
	tools/man/links $(MAN) | while read -r at to; do rm -f $(DEST_MAN)/$$at; done
	for m in $(MAN); do rm -f $(DEST_MAN)/man$${m##*.}/$${m##*/}; done
	rm -f $(DEST_BASH)/shmipc $(DEST_ZSH)/_shmipc $(DEST_TMP)/shmipc.conf

clean:
	rm -rf $(B)

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile kmod/kmod.mk tests/vm/vm.mk

-include $(OBJ:.o=.d) $(BPF_SRC:tools/trace/%.bpf.c=$(B)/gen/trace/%.bpf.d)
FORCE:
.PHONY: all lib examples tests tsan asan demo check check-all check-bare pictures install uninstall clean help FORCE

# The module, and the tests in an emulated machine.
include kmod/kmod.mk tests/vm/vm.mk
