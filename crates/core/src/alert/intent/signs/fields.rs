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
    "alert",
    "alertname",
    "alertmessage",
    "orderalertmessage",
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
];

/// Flags with a name that may be a price's: only `true` counts.
pub(super) const NAMED_LIKE_PRICES: &[&str] = &["close", "exit", "flat", "reduce"];

pub(super) const LONG_FLAGS: &[&str] = &["closelong", "exitlong", "closelongs", "longexit"];
pub(super) const SHORT_FLAGS: &[&str] = &["closeshort", "exitshort", "closeshorts", "shortexit"];

pub(super) const POSITION_SIDES: &[&str] = &["positionside", "posside", "positiondirection"];
pub(super) const STANCES: &[&str] = &["sentiment", "position"];
pub(super) const SIZES: &[&str] = &[
    "positionsize",
    "marketpositionsize",
    "positionqty",
    "positionquantity",
    "positionamt",
    "positionamount",
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
