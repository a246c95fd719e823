// What a Mongoose application does beside Alertcast: node app.js URI DATABASE ACT [JSON]. Prints what it saw as JSON.
'use strict';

const mongoose = require('mongoose');
const define = require('./models');

const { ObjectId, Date: SchemaDate, Number: SchemaNumber } = mongoose.Schema.Types;

/** Every document of every model: read, validated, and each value held against its schema's type. */
async function check(models) {
  const seen = {};
  for (const model of Object.values(models)) {
    const problems = [];
    const documents = await model.find().sort({ _id: 1 });
    const plain = await model.find().sort({ _id: 1 }).lean();
    for (const [n, document] of documents.entries()) {
      await document.validate().catch((error) => problems.push(`${document.id}: ${error.message}`));
      if (document.isModified()) problems.push(`${document.id}: reading it changed ${document.modifiedPaths()}`);
      model.schema.eachPath((path, type) => {
        const wrong = mismatch(type, value(plain[n], path));
        if (wrong) problems.push(`${document.id} ${path}: ${wrong}`);
      });
    }
    seen[model.collection.name] = { count: documents.length, problems };
  }
  return seen;
}

function value(document, path) {
  return path.split('.').reduce((within, name) => within?.[name], document);
}

/** How a stored value is not what the schema says; nothing where it is, or is absent. */
function mismatch(type, stored) {
  if (stored === undefined) return undefined;
  if (stored === null) return 'null where it should be absent';
  if (type instanceof ObjectId) return stored instanceof mongoose.Types.ObjectId ? undefined : 'no ObjectId';
  if (type instanceof SchemaDate) return stored instanceof Date ? undefined : 'no Date';
  if (type instanceof SchemaNumber) return typeof stored === 'number' ? undefined : `no Number: ${stored}`;
  if (type.instance === 'String') return typeof stored === 'string' ? undefined : 'no String';
  if (type.instance === 'Boolean') return typeof stored === 'boolean' ? undefined : 'no Boolean';
  if (type.instance === 'Array') return Array.isArray(stored) ? undefined : 'no Array';
  return undefined;
}

/** Changes documents of Alertcast's as applications do. */
async function change(models, { user, subscription, trade, alert, plan, config }) {
  const one = await models.User.findById(user);
  one.profile.phone = '+91 98000 00000';
  one.preferences.trading.maxDailyAlerts += 10;
  await one.save();
  const paid = await models.UserSubscription.findOneAndUpdate(
    { _id: subscription }, { $inc: { 'usage.alertsReceived': 5 }, $set: { 'subscription.autoRenew': true } },
    { new: true, runValidators: true });
  const traded = await models.Trade.findById(trade);
  traded.metadata.notes = 'seen in the application';
  await traded.save();
  const told = await models.Alert.findById(alert);
  told.processing.errors.push({ message: 'looked at by hand' });
  await told.save();
  const sold = await models.SubscriptionPlan.findById(plan);
  sold.metadata.tags.push('popular');
  await sold.save();
  await models.AlertConfiguration.updateOne({ _id: config }, { $set: { description: 'Ours', campaign: 'spring' } },
    { strict: false });
  return { alertsReceived: paid.usage.alertsReceived, versions: { alert: told.__v, plan: sold.__v } };
}

/** A world of the application's own, with its defaults. */
async function create(models) {
  const config = await models.AlertConfiguration.create({ name: 'Nifty', symbol: 'nifty', timeframe: '1h', strategy: 'EMA' });
  const plan = await models.SubscriptionPlan.create({
    name: 'Basic Plan', description: 'Basic trading alerts for beginners', alertConfigurations: [config],
    pricing: { amount: 999, duration: { months: 1 } }, features: { maxAlertConfigs: 5, maxOpenTrades: 2 },
  });
  const user = await models.User.create({
    email: ' Asha@Example.com ', telegram: { userId: '77', chatId: '77' }, profile: { name: 'Asha Rao' },
  });
  const day = 86_400_000;
  const subscription = await models.UserSubscription.create({
    userId: user, subscriptionPlanId: plan,
    payment: { transactionId: 'UPI-1', amount: 999, status: 'approved', approvedAt: new Date() },
    subscription: { status: 'active', startDate: new Date(0), endDate: new Date(Date.now() + 30 * day) },
  });
  const preference = await models.UserAlertPreference.create({
    userId: user, subscriptionId: subscription, alertConfigId: config,
  });
  await models.AdminUser.create({
    username: 'Admin', email: 'admin@example.com', password: '$2b$10$abcdefghijklmnopqrstuv',
    profile: { firstName: 'System', lastName: 'Administrator' },
  });
  return Object.fromEntries(
    Object.entries({ config, plan, user, subscription, preference }).map(([name, made]) => [name, made.id]));
}

/** Makes the indexes that the schemas name, as an application does when it starts. */
async function init(models) {
  for (const model of Object.values(models)) await model.init();
  return {};
}

const ACTS = { init, check, change, create };

async function main([uri, database, act, given]) {
  const connection = await mongoose.createConnection(uri, { dbName: database, autoIndex: act === 'init' }).asPromise();
  try {
    console.log(JSON.stringify(await ACTS[act](define(connection), given ? JSON.parse(given) : {})));
  } finally {
    await connection.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
