// The socket that all modes use, and how something is written to it.

#ifndef BENCH_ASIO_SOCKET_HPP
#define BENCH_ASIO_SOCKET_HPP

#include <asio.hpp>
#include <utility>

// The executor is named, so that nothing goes through the type-erased `any_io_executor` of `tcp::socket`.
using Executor = asio::io_context::executor_type;
using Socket = asio::ip::tcp::socket::rebind_executor<Executor>::other;

// Whether writes are tried before they are left to Asio. It is the socket's non-blocking mode, which Asio does
// not need for its own operations, that says so. With io_uring a socket has to stay in blocking mode: the
// kernel would end an operation that has to wait with EAGAIN.
inline bool tries_writes(const Socket& socket) { return socket.non_blocking(); }

// Writes what the kernel takes at once. That there is no room is no error.
template <typename Buffers>
std::size_t write_now(Socket& socket, const Buffers& buffers, asio::error_code& error) {
  const std::size_t written = socket.write_some(buffers, error);
  if (error == asio::error::would_block) {
    error.clear();
  }
  return written;
}

// Writes all and then calls the handler with the error, if any; at once if everything is written at once.
//
// `async_write` would try the same call first, but its handler goes through the queue of the io_context.
template <typename Handler>
void write_all(Socket& socket, asio::const_buffer bytes, Handler handler) {
  if (tries_writes(socket)) {
    asio::error_code error;
    bytes += write_now(socket, bytes, error);
    if (error || bytes.size() == 0) {
      handler(error);
      return;
    }
  }
  asio::async_write(socket, bytes, [handler = std::move(handler)](const asio::error_code& error, std::size_t) mutable {
    handler(error);
  });
}

#endif
