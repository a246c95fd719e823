//! The names, in normal form, under which a message tells of its intent.

/// Where an action is told, in the order of their weight.
pub(super) const ACTIONS: &[&str] = &["signal", "action", "orderaction", "side", "direction"];

/// Where its kind is told, in this order. The first four can open a trade; the rest is read for exits alone.
pub(super) const KINDS: &[&str] = &[
    "type",
    "event",
    "order",
    "messagetype",
    "eventtype",
    "signaltype",
    "tradetype",
    "ordertype",
    "alerttype",
    "actiontype",
    "tradeaction",
    "orderside",
    "data",
    "command",
    "cmd",
    "operation",
    "instruction",
    "kind",
    "subtype",
    "eventname",
];

/// Words of any sense, where only a phrase that is an exit as a whole counts.
pub(super) const REASONS: &[&str] = &[
    "reason",
    "exitreason",
    "closereason",
    "orderreason",
    "status",
    "state",
    "trade",
    "tradeside",
    "positioneffect",
    "positionaction",
    "offset",
    "openclose",
    "intent",
    "purpose",
    "mode",
    "exitaction",
    "closeaction",
    "execinst",
    "flags",
    "orderflags",
    "orderoptions",
    "options",
];

/// Names of orders, and remarks on them.
pub(super) const LABELS: &[&str] = &[
    "comment",
    "ordercomment",
    "orderid",
    "id",
    "signalid",
    "ordername",
    "signalname",
    "tradeid",
    "label",
    "tag",
    "tags",
    "alert",
    "alertname",
    "alertmessage",
    "orderalertmessage",
    "comments",
    "exitcomment",
    "closecomment",
    "exitid",
    "entryid",
    "clientorderid",
    "newclientorderid",
    "clordid",
    "cloid",
    "ordertag",
    "orderlabel",
    "remark",
    "remarks",
];

/// Where kinds of order stand.
pub(super) const ORDER_KINDS: &[&str] = &["type", "order", "ordertype"];

/// Flags by which an order can only close.
pub(super) const CLOSING_FLAGS: &[&str] = &[
    "reduceonly",
    "isreduceonly",
    "reduceposition",
    "closeposition",
    "closepositions",
    "exitposition",
    "closetrade",
    "exittrade",
    "closeorder",
    "closeonly",
    "exitonly",
    "closeontrigger",
    "closeall",
    "exitall",
    "isclose",
    "isclosing",
    "isexit",
    "flatten",
    "flattenall",
    "liquidate",
    "squareoff",
    "positionclosed",
    "tradeclosed",
];

/// Flags that say that an order opens: `false` says that it closes.
pub(super) const OPENING_FLAGS: &[&str] = &["isentry", "isopening"];

/// Flags with a name that may be a price's, or a text's: only `true` counts.
pub(super) const NAMED_LIKE_OTHERS: &[&str] =
    &["close", "exit", "flat", "reduce", "closing", "exitsignal", "closesignal", "isexitsignal", "isclosesignal"];

/// What is on in these objects is on for other orders: those of the trade's levels, and those of earlier trades.
pub(super) const OTHER_ORDERS: &[&str] = &[
    "exit", "close", "bracket", "attach", "child", "leg", "oco", "trail", "prev", "last", "old", "history", "default",
    "stats", "backtest", "orders", "alerts", "signals", "trades",
];

pub(super) const LONG_FLAGS: &[&str] = &["closelong", "exitlong", "closelongs", "longexit"];
pub(super) const SHORT_FLAGS: &[&str] = &["closeshort", "exitshort", "closeshorts", "shortexit"];

pub(super) const POSITION_SIDES: &[&str] =
    &["positionside", "posside", "positiondirection", "positiontype", "posdirection", "holdside"];
/// Of accounts that hold both sides: 1 is the long position, 2 the short one.
pub(super) const POSITION_NUMBERS: &[&str] = &["positionidx", "positionindex"];
pub(super) const STANCES: &[&str] = &["sentiment", "position"];
pub(super) const SIZES: &[&str] = &[
    "positionsize",
    "marketpositionsize",
    "positionqty",
    "positionquantity",
    "positionamt",
    "positionamount",
    "possize",
    "posqty",
    "newpositionsize",
    "newposition",
    "netposition",
    "targetposition",
    "targetpositionsize",
];
pub(super) const BEFORE: &[&str] = &["prevposition", "previousposition", "previousmarketposition", "prevsentiment"];

/// How much of the position is closed.
pub(super) const PARTS: &[&str] = &["size", "quantity", "qty", "amount", "contracts", "volume"];
pub(super) const PERCENTAGES: &[&str] =
    &["closepercent", "closepct", "closepercentage", "exitpercent", "exitpct", "reducepercent", "qtypercent", "qtypct"];

/// Objects that are no groups, but in which people put an order's flags.
pub(super) const SIDE_OBJECTS: &[&str] = &[
    "params",
    "position",
    "options",
    "extra",
    "details",
    "info",
    "execution",
    "settings",
    "orderparams",
    "meta",
    "metadata",
];

/// Of these, those in which words tell of the order; the others hold settings.
pub(super) const REMARK_OBJECTS: &[&str] = &["position", "extra", "details", "info", "execution", "meta", "metadata"];
