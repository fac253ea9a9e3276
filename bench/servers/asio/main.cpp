// The echo and chat server on standalone Asio, as somebody who knows Asio and cares for speed would write it.
//
// One thread and one io_context, told so by its concurrency hint: without one there would be locks. Handlers
// are plain callbacks; a coroutine would be one more thing to resume for each of them. Built a second time with
// io_uring in place of epoll.

#include <asio.hpp>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "chat.hpp"
#include "framed.hpp"
#include "raw.hpp"
#include "socket.hpp"

#if defined(ASIO_HAS_IO_URING_AS_DEFAULT)
#define FOUNDATION "io_uring"
static constexpr const char* kName = "asio-uring-server";
static constexpr bool kCanTryWrites = false;
#else
#define FOUNDATION "epoll"
static constexpr const char* kName = "asio-server";
static constexpr bool kCanTryWrites = true;
#endif

namespace {

using Acceptor = asio::ip::tcp::acceptor::rebind_executor<Executor>::other;

// Pause after a failed accept: out of descriptors is the usual cause, and passes.
constexpr std::chrono::milliseconds kAcceptBackoff{10};

class Listener {
 public:
  Listener(asio::io_context& context, const options& options, bool try_writes, int socket)
      : acceptor_(context.get_executor(), protocol(options), socket),
        pause_(context),
        mode_(options.mode),
        try_writes_(try_writes),
        room_(options.gather) {}

  // Accepts for ever.
  void accept() {
    acceptor_.async_accept([this](const asio::error_code& error, Socket socket) {
      if (error) {
        pause_.expires_after(kAcceptBackoff);
        pause_.async_wait([this](const asio::error_code&) { accept(); });
        return;
      }
      start(std::move(socket));
      accept();
    });
  }

 private:
  static asio::ip::tcp protocol(const options& options) {
    return options.listen.any.sa_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
  }

  void start(Socket socket) {
    if (try_writes_) {
      asio::error_code error;
      // Asio makes it non-blocking anyway, for itself, so this is no call more.
      socket.non_blocking(true, error);
    }
    switch (mode_) {
      case MODE_RAW:
        return RawEcho::start(std::move(socket));
      case MODE_FRAMED:
        return FramedEcho::start(std::move(socket));
      case MODE_CHAT:
        return Member::start(std::move(socket), room_);
    }
  }

  Acceptor acceptor_;
  asio::steady_timer pause_;
  const mode mode_;
  const bool try_writes_;
  Room room_;
};

int run(int argc, char** argv) {
  const std::string foundation = "Asio " + std::to_string(ASIO_VERSION / 100000) + "." +
                                 std::to_string(ASIO_VERSION / 100 % 1000) + "." + std::to_string(ASIO_VERSION % 100) +
                                 ", " FOUNDATION;
  bool async_writes = false;
  const option_switch switches[] = {
      {"--async-writes", "Leave every write to Asio, instead of trying it at once", &async_writes},
      {nullptr, nullptr, nullptr},
  };
  const server_words words = {kName, foundation.c_str(), kCanTryWrites ? switches : switches + 1};
  const options options = read_options(argc, argv, &words);
  const int socket = open_listener(&options, &words);
  try {
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    Listener listener(context, options, kCanTryWrites && !async_writes, socket);
    announce(socket, &words);
    listener.accept();
    context.run();
  } catch (const std::exception& error) {
    fail(&words, "stopped", error.what());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
