// The seed's eight schemas (section 2), as the models of a Mongoose application.
'use strict';

const mongoose = require('mongoose');
const { Schema } = mongoose;
const { ObjectId } = Schema.Types;

const ref = (model, rest = {}) => ({ type: ObjectId, ref: model, ...rest });
const required = true;
const flag = (value) => ({ type: Boolean, default: value });
const count = (value) => ({ type: Number, default: value });
const word = (words, rest = {}) => ({ type: String, enum: words, ...rest });
const now = { type: Date, default: Date.now };

const User = new Schema({
  email: { type: String, required, unique: true, lowercase: true, trim: true },
  telegram: {
    userId: { type: String, required, unique: true },
    username: String,
    firstName: String,
    lastName: String,
    chatId: { type: String, index: true },
  },
  profile: {
    name: { type: String, required, trim: true },
    phone: String,
    timezone: { type: String, default: 'UTC' },
  },
  status: word(['active', 'inactive', 'suspended'], { default: 'active' }),
  preferences: {
    notifications: { email: flag(true), telegram: flag(true), renewalReminders: flag(true) },
    trading: { riskLevel: word(['low', 'medium', 'high'], { default: 'medium' }), maxDailyAlerts: count(50) },
  },
  lastLoginAt: Date,
}, { timestamps: true });

const SubscriptionPlan = new Schema({
  name: { type: String, required, trim: true, unique: true },
  description: { type: String, required },
  pricing: {
    amount: { type: Number, required, min: 0 },
    currency: { type: String, default: 'INR' },
    duration: { months: { type: Number, required, min: 1 }, days: count(0) },
  },
  features: {
    maxAlertConfigs: count(-1),
    maxOpenTrades: count(3),
    prioritySupport: flag(false),
    advancedAnalytics: flag(false),
  },
  alertConfigurations: [ref('AlertConfiguration')],
  status: word(['active', 'inactive', 'archived'], { default: 'active' }),
  metadata: { displayOrder: count(0), isPopular: flag(false), tags: [String] },
}, { timestamps: true });

const TIMEFRAMES = ['1m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '12h', '1d', '1w'];
const REQUIRED_FIELDS = ['symbol', 'timeframe', 'strategy', 'signal', 'price', 'tp', 'sl'];

const AlertConfiguration = new Schema({
  name: { type: String, required, trim: true },
  description: String,
  symbol: { type: String, required, uppercase: true, trim: true },
  timeframe: word(TIMEFRAMES, { required }),
  strategy: { type: String, required, trim: true },
  tradeManagement: {
    maxOpenTrades: { type: Number, default: 3, min: 1, max: 5 },
    allowOppositeSignals: flag(true),
    replaceOnSameSignal: flag(true),
    autoCloseOnTPSL: flag(true),
  },
  alertTypes: {
    entry: { enabled: flag(true), signals: [word(['BUY', 'SELL'])] },
    exit: { enabled: flag(true), signals: [word(['TP_HIT', 'SL_HIT'])] },
  },
  validation: {
    requiredFields: [word(REQUIRED_FIELDS)],
    priceValidation: { enabled: flag(true), tolerance: count(0.05) },
  },
  status: word(['active', 'inactive', 'testing'], { default: 'active' }),
  statistics: { totalAlerts: count(0), totalTrades: count(0), successRate: count(0), lastAlertAt: Date },
}, { timestamps: true });
AlertConfiguration.index({ symbol: 1, timeframe: 1, strategy: 1 }, { unique: true });

const UserSubscription = new Schema({
  userId: ref('User', { required, index: true }),
  subscriptionPlanId: ref('SubscriptionPlan', { required }),
  payment: {
    transactionId: { type: String, required, unique: true },
    amount: { type: Number, required },
    currency: { type: String, default: 'INR' },
    method: word(['UPI', 'bank_transfer', 'other'], { default: 'UPI' }),
    proofUrl: String,
    status: word(['pending', 'approved', 'rejected'], { default: 'pending' }),
    approvedBy: ref('User'),
    approvedAt: Date,
    rejectionReason: String,
  },
  subscription: {
    startDate: Date,
    endDate: Date,
    status: word(['pending', 'active', 'expired', 'cancelled'], { default: 'pending' }),
    autoRenew: flag(false),
    renewalNotificationSent: flag(false),
  },
  usage: { alertsReceived: count(0), tradesOpened: count(0), lastActivityAt: Date },
}, { timestamps: true });

const UserAlertPreference = new Schema({
  userId: ref('User', { required }),
  subscriptionId: ref('UserSubscription', { required }),
  alertConfigId: ref('AlertConfiguration', { required }),
  preferences: {
    enabled: flag(true),
    alertTypes: { entry: flag(true), exit: flag(true), replacement: flag(true) },
    notifications: { telegram: flag(true), email: flag(false) },
    customSettings: { minPrice: Number, maxPrice: Number, riskLevel: word(['low', 'medium', 'high']) },
  },
  statistics: { alertsReceived: count(0), tradesOpened: count(0), lastAlertAt: Date },
}, { timestamps: true });
UserAlertPreference.index({ userId: 1, alertConfigId: 1 }, { unique: true });

const Trade = new Schema({
  tradeNumber: { type: Number, required },
  userId: ref('User', { required }),
  alertConfigId: ref('AlertConfiguration', { required }),
  subscriptionId: ref('UserSubscription', { required }),
  tradeData: {
    symbol: { type: String, required, uppercase: true },
    timeframe: { type: String, required },
    strategy: { type: String, required },
    signal: word(['BUY', 'SELL'], { required }),
    entryPrice: { type: Number, required },
    takeProfitPrice: Number,
    stopLossPrice: Number,
    exitPrice: Number,
    exitReason: word(['TP_HIT', 'SL_HIT', 'REPLACED', 'MANUAL']),
  },
  status: word(['open', 'closed', 'replaced'], { default: 'open' }),
  pnl: { amount: Number, percentage: Number, currency: { type: String, default: 'USD' } },
  timestamps: { openedAt: now, closedAt: Date, replacedAt: Date },
  alerts: { entryAlertId: ref('Alert'), exitAlertId: ref('Alert') },
  metadata: { replacedBy: ref('Trade'), replacementReason: String, notes: String },
}, { timestamps: true });
Trade.index({ userId: 1, status: 1 });

const Alert = new Schema({
  source: word(['tradingview'], { default: 'tradingview' }),
  webhook: {
    receivedAt: now,
    processedAt: Date,
    rawPayload: { type: Object, required },
    signature: String,
    ipAddress: String,
  },
  alertData: {
    symbol: { type: String, required, uppercase: true },
    timeframe: { type: String, required },
    strategy: { type: String, required },
    signal: word(['BUY', 'SELL', 'TP_HIT', 'SL_HIT'], { required }),
    price: { type: Number, required },
    takeProfitPrice: Number,
    stopLossPrice: Number,
    timestamp: { type: Date, required },
    additionalData: Object,
  },
  processing: {
    status: word(['received', 'processing', 'processed', 'failed'], { default: 'received' }),
    alertConfigId: ref('AlertConfiguration'),
    matchedUsers: [{
      userId: ref('User'),
      subscriptionId: ref('UserSubscription'),
      delivered: flag(false),
      deliveredAt: Date,
      error: String,
    }],
    tradeActions: [{
      action: word(['OPEN_TRADE', 'CLOSE_TRADE', 'REPLACE_TRADE']),
      tradeId: ref('Trade'),
      userId: ref('User'),
    }],
    errors: [{ message: String, timestamp: now, stack: String }],
  },
  statistics: { processingTime: Number, deliveryCount: count(0), failureCount: count(0) },
}, { timestamps: true });

const AdminUser = new Schema({
  username: { type: String, required, unique: true, lowercase: true, trim: true },
  email: { type: String, required, unique: true, lowercase: true },
  password: { type: String, required },
  profile: {
    firstName: { type: String, required },
    lastName: { type: String, required },
    phone: String,
  },
  permissions: {
    users: { view: flag(true), edit: flag(true), delete: flag(false) },
    subscriptions: { view: flag(true), approve: flag(true), edit: flag(true) },
    alerts: { view: flag(true), configure: flag(true) },
    system: { settings: flag(false), logs: flag(true) },
  },
  status: word(['active', 'inactive', 'suspended'], { default: 'active' }),
  security: {
    lastLoginAt: Date,
    lastLoginIP: String,
    failedLoginAttempts: count(0),
    lockedUntil: Date,
    passwordChangedAt: Date,
  },
}, { timestamps: true });

const SCHEMAS = {
  User: [User, 'users'],
  SubscriptionPlan: [SubscriptionPlan, 'subscription_plans'],
  AlertConfiguration: [AlertConfiguration, 'alert_configurations'],
  UserSubscription: [UserSubscription, 'user_subscriptions'],
  UserAlertPreference: [UserAlertPreference, 'user_alert_preferences'],
  Trade: [Trade, 'trades'],
  Alert: [Alert, 'alerts'],
  AdminUser: [AdminUser, 'admin_users'],
};

/** The models on a connection. */
module.exports = (connection) => {
  const models = {};
  for (const [name, [schema, collection]] of Object.entries(SCHEMAS)) {
    models[name] = connection.model(name, schema, collection);
  }
  return models;
};
