// Every word of the page, in Chinese and English.
const words = {
  zh: {
    name: 'zh', waiting: '排队', talking: '通话', seats: '坐席', call_backs: '待回拨', last_record: '呼叫记录', deliveries: '推送',
    none_waiting: '没有人在等。', none_talking: '没有通话。', none_call_back: '没有待回拨。', none_record: '还没有记录。', none_delivery: '还没有推送。',
    counters: { arrived: '呼入', answered: '接听', abandoned: '放弃', lost: '丢失', refused: '拒绝' },
    sound_on: '🔇 语音告警被浏览器静音，点此打开', no_sound: '语音告警没有声音，提示音文件缺失',
    listen_queue: '队列监听', ask_listen_queue: (s) => `班长坐席 ${s} 监听队列`, ask_queue: '队列', all_queues: '全部队列', hears: (q, who) => who ? `${q}: ${who}` : `${q}: 无人排队`,
    work: { waiting: '排队', serving: '服务', idle: '空闲', away: '离席', off: '关闭' }, oldest: '最久', handled: '受理',
    up: '实时', down: '连接断开，正在重连…', no_server: '服务器没有应答，请稍后再试', signed_out: '登录已失效，请用新的一次性链接打开', done: '完成', ok: '好', no: '取消', gone: '呼叫已结束，操作取消',
    dial: '拨打', call_back: '回拨', overdue: '超时', tried: (n) => `已拨 ${n} 次`, back: { dialling: '正在回拨', on_line: '又打来了' }, dropped: '摘机即挂', before_dispatch: '派车前挂断', interrupted: '通话中断', lost_in_restart: '重启中断', link: '关联', ask_dial: (s) => `坐席 ${s} 拨打`, ask_dialled: '号码或坐席号', ask_link: (n) => `${n} 的通话属于`, direction: { outbound: '呼出', internal: '内线', callback: '回拨' },
    ready: '示闲', not_ready: '示忙', hang_up: '挂断', hold: '保持', resume: '取回', on_hold: '保持中', shelve: '搁置', transfer: '转移', transfer_out: '转外线', complete: '转出', ask_transfer: (n) => `转移 ${n}`, ask_to_seat: '转给坐席', ask_kind: '方式', kinds: { blind: '直接转 (本席退出)', attended: '先与对方商量', conference: '先三方通话' }, to: (x) => `转 ${x}`, ask_silent: '静默询问', asked_silent: '已请按键', pressed: (k) => `按键 ${k}`, shelved: '搁置后挂断', add: '三方', join: '合并', listen: '监听', stop_listening: '停止监听', close: '办结', remove: '移除', cancel: '取消呼叫', again: '重发',
    ask_hang_up: (n) => `挂断 ${n} 的通话?`, ask_add: '邀请第三方', ask_number: '号码', ask_role: '对方', ask_not_ready: (s) => `坐席 ${s} 示忙`, ask_reason: '原因', ask_join: (n) => `合并到 ${n} 的通话`, ask_with: '合并哪个呼叫', joined_with: (n) => `合并 ${n}`, joined: '合并通话', ask_close: (n) => `办结 ${n} 的回拨`, ask_outcome: '回拨结果', ask_listen: (n) => `监听 ${n}`, ask_seat: '用哪个班长坐席听', no_phone: '没有班长话机登录',
    roles: { doctor: '医生', 110: '110 公安', 119: '119 消防', 122: '122 交警', crew: '车组', interpreter: '翻译', peer: '邻近中心', group: '移动组', other: '其他' }, reasons: ['离席', '培训', '交接班', '用餐'],
    state: { signed_out: '未登录', not_ready: '示忙', ready: '空闲', reserved: '已分配', ringing: '振铃', talking: '通话', wrap_up: '整理', listening: '监听', unreachable: '连接异常' },
    call: { arriving: '呼入', in_menu: '语音菜单', dialling: '拨号', greeting: '问候', waiting: '等待', offered: '振铃', talking: '通话', held: '保持', shelved: '搁置', conferencing: '三方', closing: '结束' },
    leg: { ringing: '振铃', early_media: '早期媒体', up: '', held: '保持', ending: '结束' },
    party: (p) => p.includes('@') ? `${words.zh.party(p.split('@')[0])} ${p.split('@')[1]}` : p === 'caller' ? '主叫' : p.startsWith('callee-') ? '被叫' : p.startsWith('seat-') ? `坐席 ${p.slice(5)}` : p.startsWith('supervisor-') ? `班长 ${p.slice(11)}` : p.startsWith('relief-') ? `请求接听 ${p.slice(7)}` : words.zh.roles[p.replace(/-\d+$/, '')] ?? p,
    assist: '呼叫班长', asks: (s) => `坐席 ${s} 呼叫班长`, comes: (s) => `班长 ${s} 正在接入`, come: '响应', sign_in: '签入', ask_sign_in: (s) => `坐席 ${s} 签入话机 (原在此签入的坐席将签出)`, ask_phone: '话机', sign_out: '签出', ask_sign_out: (s) => `坐席 ${s} 签出 (通话中则通话结束后)`,
    reassign: '指派', ask_reassign: (n) => `把 ${n} 指派给坐席`, ask_which: '空闲坐席', priority: '优先', ask_priority: (n) => `${n} 优先`, ask_ahead: '提前秒数 (0 取消)',
    mode: { listen: '监听', whisper: '耳语', barge: '强插', take_over: '强接' }, ask_take_over: (n) => `强接 ${n} 的呼叫: 原坐席转入整理`,
    why: '原因', why_call: (n) => `${n} 为什么在等`, why_seat: (s) => `坐席 ${s} 为什么没有呼叫`, no_reason: '还没有记录原因',
    supervisor: '班长', ahead: (n) => n === 0 ? '下一位' : `前面 ${n} 位`, exceeded: '超过 10 秒', unknown: '未知号码', times: (n) => `${n} 次`,
    serial: '流水号', number: '号码', received: '呼入', wait: '等待', talk: '通话', seat: '坐席', outcome: '结果', place: '位置', owner: '机主', address: '装机地址', incident: '事件', cell: '基站', orders: '派车', history: '历史来电',
    source: { pidf: '手机定位', ali: '装机地址', line: '装机地址', cell: '基站', seat: '坐席录入' }, order: { order_issued: '派车', issued: '派车', reassigned: '改派', cancelled: '取消' },
    outcomes: { answered: '接听', abandoned: '放弃', lost: '丢失', refused_capacity: '容量拒绝', not_reached: '未接通', open: '进行中' },
    abandoned: '放弃', lost: '丢失', refused_capacity: '容量拒绝', orphaned: '中断',
    columns: ['时间', '目的地', '事件', '序号', '状态', '次数', ''], delivered: '已确认', pending: '待送', dead: '死信', no_recording: '录音尚未完成', no_recording_ever: '没有录音', recording: '录音',
    problem: { wrong_state: '现在不能这样做', ended: '呼叫已结束', changed_meanwhile: '别人刚刚改过，再按一次只保存您改的内容', not_allowed: '没有权限', unknown: '不存在', bad_field: '内容有误', busy: '系统忙', late: '没有及时应答', store_unavailable: '数据库不可用', cross_site: '跨站请求被拒' },
    marks: '骚扰标记', none_mark: '没有标记。', mark: '标记骚扰', ask_mark: (n) => `标记 ${n} 为骚扰 (待班长确认)`, confirm: '确认', lift: '解除', evidence: '证据包', marked: '骚扰 (已确认)', suspected: '疑似骚扰', review: '待复核', until: (d) => `至 ${d}`, repeated: (n) => `反复呼入 ${n}`, look: (n) => `行为评分 ${n}`, near: (m) => `疑似同一事件 ${m} 米`,
    overlong: '受理超时', advice: '医学指导', duty: '交接班、投诉', none_duty: '没有投诉和待接班。', mark_major: '突发事件', major: (done, all) => `突发事件 ${done}/${all}`, steps: '突发事件流程', ask_steps: (n) => `突发事件流程 ${n}`, complain: '投诉', complaint: '投诉', ask_complain: (n) => `投诉: ${n} 的通话`, ask_text: '内容', ask_person: '投诉人', ask_close_complaint: '办结投诉', closed: '已办结', held: '封存', lift_hold: '解除封存',
    handover: '交班', hand_over: '交班', take_over_shift: '接班', ask_to: '交给坐席', open_items: (c, b, k) => `通话 ${c} · 待回拨 ${b} · 投诉 ${k}`,
    form_button: '受理单', ask_form: (n) => `受理单 ${n}`, save: '保存', written: '最近填写', revision: (n) => `第 ${n} 版`, patient: '病人', years: (n) => `${n} 岁`, people: (n) => `${n} 人`, sexes: { 1: '男', 2: '女', 9: '未说明', 0: '未知' },
    form: { call_type: '来电类型', patient_name: '病人姓名', sex: '性别', age_years: '年龄', casualties: '人数', chief_complaint: '主诉', reason: '呼救原因', area: '呼救区域', scene: '病发地点', pickup: '接车地点', contact_name: '联系人', contact_number: '联系电话', contact_relation: '与病人关系', note: '备注' },
    keys: '按键', key_list: [['?', '本帮助'], ['F', '受理单 (本坐席的通话)'], ['L', '中文 / English'], ['R', '示闲 (本坐席)'], ['N', '示忙 (本坐席)'], ['D', '拨打 (本坐席)'], ['T', '三方 (本坐席的通话)'], ['B', '保持 / 取回 (本坐席的通话)'], ['H', '挂断 (本坐席的通话, 需确认)'], ['P', '播放 / 暂停录音'], ['Esc', '关闭对话框 (不会挂断)']],
    role: { seat: '坐席', supervisor: '班长', module: '模块', admin: '管理员' }, trunk_up: '通', trunk_down: '不通', trunk_unknown: '未知',
  },
  en: {
    name: 'en', waiting: 'Waiting', talking: 'Talking', seats: 'Seats', call_backs: 'To call back', last_record: 'Call records', deliveries: 'Deliveries',
    none_waiting: 'Nobody waits.', none_talking: 'No talk.', none_call_back: 'Nobody to call back.', none_record: 'No record yet.', none_delivery: 'No delivery yet.',
    counters: { arrived: 'arrived', answered: 'answered', abandoned: 'abandoned', lost: 'lost', refused: 'refused' },
    sound_on: '🔇 The browser mutes spoken alarms: press to hear them', no_sound: 'a spoken alarm has no sound, its prompt is missing',
    listen_queue: 'Listen to queue', ask_listen_queue: (s) => `Supervisor ${s} listens to`, ask_queue: 'Queue', all_queues: 'all queues', hears: (q, who) => who ? `${q}: ${who}` : `${q}: nobody waits`,
    work: { waiting: 'waiting', serving: 'serving', idle: 'idle', away: 'away', off: 'off' }, oldest: 'oldest', handled: 'handled',
    up: 'live', down: 'disconnected, trying again…', no_server: 'the server does not answer; try again', signed_out: 'your session has ended; open a fresh one-time link', done: 'done', ok: 'OK', no: 'Cancel', gone: 'the call has ended; nothing was done',
    dial: 'Dial', call_back: 'Call back', overdue: 'overdue', tried: (n) => `tried ×${n}`, back: { dialling: 'being dialled', on_line: 'rang again' }, dropped: 'hung up at once', before_dispatch: 'before dispatch', interrupted: 'interrupted', lost_in_restart: 'cut by a restart', link: 'Link', ask_dial: (s) => `Seat ${s} dials`, ask_dialled: 'Number or seat', ask_link: (n) => `The call with ${n} belongs to`, direction: { outbound: 'outbound', internal: 'internal', callback: 'call-back' },
    ready: 'Ready', not_ready: 'Not ready', hang_up: 'Hang up', hold: 'Hold', resume: 'Take back', on_hold: 'on hold', shelve: 'Put aside', transfer: 'Transfer', transfer_out: 'Transfer out', complete: 'Hand over', ask_transfer: (n) => `Transfer ${n}`, ask_to_seat: 'To seat', ask_kind: 'How', kinds: { blind: 'at once (this seat leaves)', attended: 'speak first, caller on hold', conference: 'talk together first' }, to: (x) => `to ${x}`, ask_silent: 'Silent?', asked_silent: 'asked for a key', pressed: (k) => `pressed ${k}`, shelved: 'left the shelf', add: 'Add party', join: 'Join', listen: 'Listen', stop_listening: 'Stop listening', close: 'Close', remove: 'Remove', cancel: 'Cancel ringing', again: 'Send again',
    ask_hang_up: (n) => `Hang up on ${n}?`, ask_add: 'Add a third party', ask_number: 'Number', ask_role: 'Who', ask_not_ready: (s) => `Seat ${s} not ready`, ask_reason: 'Reason', ask_join: (n) => `Join a call to the talk with ${n}`, ask_with: 'Which call', joined_with: (n) => `joined with ${n}`, joined: 'Joined with', ask_close: (n) => `Close the call-back of ${n}`, ask_outcome: 'What came of it', ask_listen: (n) => `Listen to ${n}`, ask_seat: 'On which supervisor phone', no_phone: 'no supervisor phone is registered',
    roles: { doctor: 'doctor', 110: '110 police', 119: '119 fire', 122: '122 traffic', crew: 'crew', interpreter: 'interpreter', peer: 'peer centre', group: 'mobile group', other: 'other' }, reasons: ['away', 'training', 'handover', 'meal'],
    state: { signed_out: 'signed out', not_ready: 'not ready', ready: 'ready', reserved: 'reserved', ringing: 'ringing', talking: 'talking', wrap_up: 'wrap-up', listening: 'listening', unreachable: 'unreachable' },
    call: { arriving: 'arriving', in_menu: 'in a menu', dialling: 'dialling', greeting: 'greeting', waiting: 'waiting', offered: 'ringing', talking: 'talking', held: 'on hold', shelved: 'put aside', conferencing: 'three-way', closing: 'closing' },
    leg: { ringing: 'ringing', early_media: 'early media', up: '', held: 'held', ending: 'ending' },
    party: (p) => p.includes('@') ? `${words.en.party(p.split('@')[0])} ${p.split('@')[1]}` : p.startsWith('seat-') ? `seat ${p.slice(5)}` : p.startsWith('supervisor-') ? `supervisor ${p.slice(11)}` : p.startsWith('relief-') ? `asked: ${p.slice(7)}` : words.en.roles[p.replace(/-\d+$/, '')] ?? p,
    assist: 'Call supervisor', asks: (s) => `seat ${s} asks for a supervisor`, comes: (s) => `supervisor ${s} is coming`, come: 'Help', sign_in: 'Sign in', ask_sign_in: (s) => `Seat ${s} signs in on (who sits there is signed out)`, ask_phone: 'Phone', sign_out: 'Sign out', ask_sign_out: (s) => `Sign seat ${s} out (after its call, when it talks)`,
    reassign: 'Assign', ask_reassign: (n) => `Give ${n} to a seat`, ask_which: 'Free seat', priority: 'Priority', ask_priority: (n) => `${n} stands earlier`, ask_ahead: 'Seconds earlier (0: as before)',
    mode: { listen: 'Listen', whisper: 'Whisper', barge: 'Barge in', take_over: 'Take over' }, ask_take_over: (n) => `Take ${n} over: the seat goes to its wrap-up`,
    why: 'Why', why_call: (n) => `Why ${n} waits`, why_seat: (s) => `Why seat ${s} gets no call`, no_reason: 'no reason is on record yet',
    supervisor: 'supervisor', ahead: (n) => n === 0 ? 'next' : `${n} ahead`, exceeded: 'over 10 s', unknown: 'unknown number', times: (n) => `${n} times`,
    serial: 'Serial', number: 'Number', received: 'Received', wait: 'Wait', talk: 'Talk', seat: 'Seat', outcome: 'Outcome', place: 'Place', owner: 'Owner', address: 'Address', incident: 'Incident', cell: 'Cell', orders: 'Vehicles', history: 'Earlier calls',
    source: { pidf: 'phone', ali: 'line', line: 'line', cell: 'cell', seat: 'seat' }, order: { order_issued: 'sent', issued: 'sent', reassigned: 'reassigned', cancelled: 'cancelled' },
    outcomes: { answered: 'answered', abandoned: 'abandoned', lost: 'lost', refused_capacity: 'refused: capacity', not_reached: 'not reached', open: 'open' },
    abandoned: 'abandoned', lost: 'lost', refused_capacity: 'refused: capacity', orphaned: 'cut off',
    columns: ['Time', 'Destination', 'Event', 'No.', 'State', 'Tries', ''], delivered: 'acknowledged', pending: 'waiting', dead: 'dead letter', no_recording: 'the recording is not complete yet', no_recording_ever: 'no recording', recording: 'recording',
    problem: { wrong_state: 'Not possible now', ended: 'The call has ended', changed_meanwhile: 'Somebody wrote meanwhile; press again to save only your fields', not_allowed: 'Not allowed', unknown: 'Not there', bad_field: 'Not understood', busy: 'Busy', late: 'No answer in time', store_unavailable: 'Database unavailable', cross_site: 'Refused: foreign page' },
    marks: 'Marks', none_mark: 'No mark.', mark: 'Mark', ask_mark: (n) => `Mark ${n} as harassment (a supervisor confirms)`, confirm: 'Confirm', lift: 'Lift', evidence: 'Evidence', marked: 'harassment, confirmed', suspected: 'suspected', review: 'to review', until: (d) => `until ${d}`, repeated: (n) => `again ×${n}`, look: (n) => `score ${n}`, near: (m) => `same incident? ${m} m`,
    overlong: 'long handling', advice: 'Medical advice', duty: 'Shift, complaints', none_duty: 'No complaint, no handover.', mark_major: 'Major incident', major: (done, all) => `major ${done}/${all}`, steps: 'Checklist', ask_steps: (n) => `Major incident: ${n}`, complain: 'Complaint', complaint: 'complaint', ask_complain: (n) => `Complaint about the call of ${n}`, ask_text: 'What', ask_person: 'Who complains', ask_close_complaint: 'Close the complaint', closed: 'closed', held: 'legal hold', lift_hold: 'Lift the hold',
    handover: 'handover', hand_over: 'Hand over', take_over_shift: 'Take over', ask_to: 'To seat', open_items: (c, b, k) => `calls ${c} · call-backs ${b} · complaints ${k}`,
    form_button: 'Form', ask_form: (n) => `Form of ${n}`, save: 'Save', written: 'written by', revision: (n) => `revision ${n}`, patient: 'Patient', years: (n) => `${n} years`, people: (n) => `${n} people`, sexes: { 1: 'male', 2: 'female', 9: 'not stated', 0: 'unknown' },
    form: { call_type: 'Type of call', patient_name: 'Patient', sex: 'Sex', age_years: 'Age', casualties: 'People', chief_complaint: 'Complaint', reason: 'Reason', area: 'Area', scene: 'Scene', pickup: 'Pick-up place', contact_name: 'Contact', contact_number: 'Contact number', contact_relation: 'Relation', note: 'Note' },
    keys: 'Keys', key_list: [['?', 'this help'], ['F', 'form (own call)'], ['L', '中文 / English'], ['R', 'ready (own seat)'], ['N', 'not ready (own seat)'], ['D', 'dial (own seat)'], ['T', 'add party (own call)'], ['B', 'hold / take back (own call)'], ['H', 'hang up (own call, asks first)'], ['P', 'play / pause the recording'], ['Esc', 'close a dialog (never hangs up)']],
    role: { seat: 'seat', supervisor: 'supervisor', module: 'module', admin: 'admin' }, trunk_up: 'up', trunk_down: 'down', trunk_unknown: 'not known',
  },
};

let language = localStorage.getItem('language') || (navigator.language.startsWith('zh') ? 'zh' : 'en');
const say = () => { document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'; };
say();
export const t = () => words[language];
export const other = () => (language === 'zh' ? 'EN' : '中文');
export function swap() {
  language = language === 'zh' ? 'en' : 'zh';
  localStorage.setItem('language', language);
  say();
}
