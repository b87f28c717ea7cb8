// The words of the page, in both languages. {0} and {1} stand for what is put in.
export const words = {
  en: {
    skip: 'To the content', model: 'Model', views: 'Views', chat: 'Chat', fill: 'Fill blanks', write: 'Write on', tokens: 'Tokens', info: 'Info',
    noChat: 'This model is not made for chats. It fills blanks and continues texts.', noFill: 'This model reads from left to right alone and cannot fill blanks.',
    messages: 'Messages', message: 'Message', sayPlaceholder: 'Say something. Enter sends, Shift+Enter begins a line.', send: 'Send', stop: 'Stop', regenerate: 'Answer anew', clear: 'Begin anew',
    you: 'You', it: 'Model', fillHint: '[MASK] is a short blank, [gMASK] the rest of the text. Choose an alternative to put it in and fill the later blanks anew.', text: 'Text', fillIn: 'Fill', insertBlank: 'Insert [MASK]',
    alternatives: 'Alternatives', blankTokens: 'Tokens per blank', legend: 'Probability of a token', blank: 'Blank {0}', nothing: '(nothing)', cut: 'longer than allowed', writeHint: 'The text goes on. Colours show how probable each token was; point at one, or reach it with Tab, for others.',
    goOn: 'Go on', maxTokens: 'Tokens', tokensHint: 'How the model sees a text: its tokens, with their ids, and how probable each one was after those before it.', show: 'Show',
    summary: '{0} tokens; {1} bits per token', counted: '{0} tokens', settings: 'Settings', temperature: 'Temperature', topP: 'Top p', seed: 'Seed', key: 'API key', keepKey: 'Use',
    speed: '{0} tokens, {1} per second, first after {2} s', failed: 'That did not work: {0}', unreachable: 'The server cannot be reached.', id: 'id', probability: 'probability',
    architecture: 'Architecture', parameters: 'Parameters', memory: 'Weights in memory', max_length: 'Longest text, tokens', vocabulary: 'Vocabulary', tokenizer: 'Tokenizer', load_seconds: 'Loaded in, s',
    running: 'Requests running', waiting: 'Requests waiting', pages: 'Pages of keys and values', generated: 'Tokens generated', throughput: 'Tokens per second while busy',
    sample: 'The capital of France is [MASK], and people there speak [MASK].', sampleText: 'The old house at the end of the street',
  },
  zh: {
    skip: '跳到内容', model: '模型', views: '视图', chat: '对话', fill: '填空', write: '续写', tokens: '词元', info: '信息',
    noChat: '此模型不是对话模型，它可以填空和续写文本。', noFill: '此模型只能从左向右阅读，不能填空。',
    messages: '消息', message: '消息', sayPlaceholder: '请输入。回车发送，Shift+回车换行。', send: '发送', stop: '停止', regenerate: '重新回答', clear: '重新开始',
    you: '你', it: '模型', fillHint: '[MASK] 是短空，[gMASK] 是文本的其余部分。选择一个备选即可填入，并重新填写其后的空。', text: '文本', fillIn: '填空', insertBlank: '插入 [MASK]',
    alternatives: '备选数', blankTokens: '每空词元数', legend: '词元的概率', blank: '第 {0} 空', nothing: '（无）', cut: '超出长度', writeHint: '文本将继续下去。颜色表示每个词元的概率；指向词元或用 Tab 键选中可查看其他可能。',
    goOn: '续写', maxTokens: '词元数', tokensHint: '模型看到的文本：词元及其编号，以及每个词元在前文之后的概率。', show: '显示',
    summary: '{0} 个词元；每个词元 {1} 比特', counted: '{0} 个词元', settings: '设置', temperature: '温度', topP: 'Top p', seed: '随机种子', key: 'API 密钥', keepKey: '使用',
    speed: '{0} 个词元，每秒 {1} 个，首个用时 {2} 秒', failed: '未能完成：{0}', unreachable: '无法连接服务器。', id: '编号', probability: '概率',
    architecture: '架构', parameters: '参数量', memory: '权重占用内存', max_length: '最大长度（词元）', vocabulary: '词表大小', tokenizer: '分词器', load_seconds: '加载用时（秒）',
    running: '正在处理的请求', waiting: '等待的请求', pages: '键值缓存页', generated: '已生成词元', throughput: '忙时每秒词元数',
    sample: '北京是[MASK]的首都，位于[MASK]。', sampleText: '春天来了，公园里',
  },
};
