//! The server's parts together: real store, real sockets, a stand-in for Telegram.

mod courier;
