using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>Chats as ids, as they were published (ChatGLM spec 12, 16) or follow from its rules; and answers as text.</summary>
public sealed class ChatTemplateTests
{
    private static readonly ChatMessage Hello = new(ChatRole.User, "你好");

    [TokenizersFact]
    public void ChatGlm()
    {
        var template = Template("chatglm-6b");
        Assert.Equal([5, 74874, 130001, 130004], template.Encode([Hello]));
        Assert.Equal("[Round 0]\n问：你好\n答：A\n[Round 1]\n问：B\n答：C\n[Round 2]\n问：D\n答：", ((RoundTemplate)template).Text(
            [Hello, Assistant("A"), User("B"), Assistant("C"), User("D")]));
        Assert.Equal([130005], template.StopIds);
        Assert.Equal("你好，世界！1,2 是：“a”;x,y中？", template.Clean(" 你好,世界!1,2 是:“a”;x,y中?\n"));
        Assert.Equal("到2023年，", template.Clean("到[[训练时间]],"));
        Assert.Contains("System", Assert.Throws<GlmException>(() => template.Encode([new(ChatRole.System, "x"), Hello])).Message);
    }

    [TokenizersFact]
    public void ChatGlm2()
    {
        var template = Template("chatglm2-6b");
        Assert.Equal([64790, 64792, 790, 30951, 517, 30910, 30939, 30996, 13, 13, 54761, 31211, 39701, 13, 13, 55437, 31211], template.Encode([Hello]));
        Assert.Equal("[Round 1]\n\n问：你好\n\n答：A\n\n[Round 2]\n\n问：B\n\n答：", ((RoundTemplate)template).Text([Hello, Assistant("A"), User("B")]));
        Assert.Equal([2], template.StopIds);
        Assert.Equal("你好,世界!", template.Clean(" 你好,世界!\n"));
        Assert.Equal("你好", Assert.Single(template.Parse([.. template.Tokenizer.Encode("你好"), 2])).Content);
        foreach (var wrong in new ChatMessage[][] { [], [Assistant("A")], [Hello, Hello], [Hello, Assistant("A")], [new(ChatRole.Observation, "x")] })
            Assert.Contains("messages", Assert.Throws<GlmException>(() => template.Encode(wrong)).Message);
    }

    [TokenizersFact]
    public void ChatGlm3()
    {
        var template = Template("chatglm3-6b");
        Assert.Equal([64790, 64792, 64795, 30910, 13, 36474, 54591, 64796], template.Encode([Hello]));
        Assert.Equal(
        [
            64790, 64792, 64795, 30910, 13, 36474, 54591, 64796, 30910, 13, 36474, 54591, 243, 162, 148, 142, 31404, 33030, 34797, 42481, 22011, 10461, 30944, 30966, 30941, 30978,
            30949, 31123, 48895, 35214, 54622, 31123, 32616, 39905, 31901, 31639, 31155, 64795, 30910, 13, 30910, 32820, 54266, 31876, 35153, 64796,
        ], template.Encode([Hello, Assistant("你好👋！我是人工智能助手 ChatGLM3-6B，很高兴见到你，欢迎问我任何问题。"), User("晚上睡不着应该怎么办")]));
        Assert.Equal([2, 64795, 64797], template.StopIds);
        Assert.Throws<GlmException>(() => template.Encode([]));
        Assert.Throws<GlmException>(() => template.Encode([Assistant("x") with { Metadata = "a\nb" }]));
    }

    [TokenizersFact]
    public void ChatGlm3WithTools()
    {
        var template = Template("chatglm3-6b");
        var tools = JsonNode.Parse("""
            {
              "random_number_generator": {
                "name": "random_number_generator", "description": "Generates a random number x, s.t. range[0] <= x < range[1]",
                "params": [
                  { "name": "seed", "description": "The random seed used by the generator", "type": "int", "required": true },
                  { "name": "range", "description": "The range of the generated numbers", "type": "tuple[int, int]", "required": true }
                ]
              },
              "get_weather": {
                "name": "get_weather", "description": "Get the current weather for `city_name`",
                "params": [ { "name": "city_name", "description": "The name of the city to be queried", "type": "str", "required": true } ]
              }
            }
            """);
        Assert.Equal(
        [
            64790, 64792, 64794, 30910, 13, 20115, 267, 1762, 2554, 362, 1077, 362, 344, 457, 30930, 809, 431, 1675, 289, 267, 1762, 4159, 30954, 13, 30982,
            13, 296, 30955, 16599, 30962, 11228, 30962, 7311, 1306, 2932, 729, 13, 352, 30955, 2323, 2932, 449, 16599, 30962, 11228, 30962, 7311, 1306,
            1252, 13, 352, 30955, 16302, 2932, 449, 9398, 711, 260, 5402, 1276, 1994, 30932, 268, 30930, 30912, 30930, 2288, 30995, 30940, 30996, 14819,
            1994, 906, 2288, 30995, 30939, 30996, 1252, 13, 352, 30955, 12209, 2932, 790, 13, 753, 30982, 13, 647, 30955, 2323, 2932, 449, 24794, 1252, 13,
            647, 30955, 16302, 2932, 449, 1036, 5402, 9352, 1050, 422, 267, 17009, 1252, 13, 647, 30955, 3543, 2932, 449, 592, 1252, 13, 647, 30955, 20379,
            2932, 2033, 13, 753, 4143, 13, 753, 30982, 13, 647, 30955, 2323, 2932, 449, 7855, 1252, 13, 647, 30955, 16302, 2932, 449, 1036, 2288, 290, 267,
            7383, 3859, 1252, 13, 647, 30955, 3543, 2932, 449, 30912, 16471, 30995, 592, 30932, 558, 30996, 1252, 13, 647, 30955, 20379, 2932, 2033, 13,
            753, 30983, 13, 352, 30996, 13, 296, 4143, 13, 296, 30955, 752, 30962, 27564, 2932, 729, 13, 352, 30955, 2323, 2932, 449, 752, 30962, 27564,
            1252, 13, 352, 30955, 16302, 2932, 449, 4867, 267, 1465, 5100, 332, 4256, 17654, 30962, 2323, 31040, 1252, 13, 352, 30955, 12209, 2932, 790, 13,
            753, 30982, 13, 647, 30955, 2323, 2932, 449, 17654, 30962, 2323, 1252, 13, 647, 30955, 16302, 2932, 449, 1036, 1462, 290, 267, 1911, 289, 330,
            580, 266, 819, 1252, 13, 647, 30955, 3543, 2932, 449, 2069, 1252, 13, 647, 30955, 20379, 2932, 2033, 13, 753, 30983, 13, 352, 30996, 13, 296,
            30983, 13, 30983, 64795, 30910, 13, 30910, 36454, 31623, 37853, 54744, 64796,
        ], template.Encode([new(ChatRole.System, "Answer the following questions as best as you can. You have access to the following tools:") { Tools = tools }, User("生成一个随机数")]));

        // A call: the name on the line of the role; the stop token is not part of it. It goes back into the chat as it came.
        int[] generated = [.. template.Tokenizer.Encode("random_number_generator\n"), .. template.Tokenizer.Encode("```python\ntool_call(seed=42, range=(0, 100))\n```"), 64797];
        var call = Assert.Single(template.Parse(generated));
        Assert.Equal(("random_number_generator", "```python\ntool_call(seed=42, range=(0, 100))\n```"), (call.Metadata, call.Content.Trim()));
        int[] ids = template.Encode([User("x"), call with { Content = call.Content.Trim() }, new(ChatRole.Observation, "22")]);
        Assert.Equal([64796, .. generated, .. template.Tokenizer.Encode("\n"), .. template.Tokenizer.Encode("22"), 64796], ids[Array.IndexOf(ids, 64796)..]);

        // Words, then a call.
        var both = template.Parse([.. template.Tokenizer.Encode("\n"), .. template.Tokenizer.Encode("好的。"), 64796, .. template.Tokenizer.Encode("interpreter\n"), .. template.Tokenizer.Encode("```python\n1\n```"), 64797, 1, 2]);
        Assert.Equal(["", "interpreter"], both.Select(message => message.Metadata));
        Assert.Equal("好的。", both[0].Content);
    }

    [TokenizersFact]
    public void Glm4()
    {
        var template = Template("glm-4-9b");
        Assert.Equal([151331, 151333, 151336, 198, 109377, 151337], template.Encode([Hello]));
        Assert.Equal(
        [
            151331, 151333, 151336, 198, 109377, 151337, 198, 109377, 9281, 239, 233, 6313, 118295, 103810, 98406, 3837, 101665, 110368, 99444, 99212, 11314, 151336, 198,
            101160, 120410, 99379, 103298, 151337,
        ], template.Encode([Hello, Assistant("你好👋！很高兴见到你，有什么可以帮助你的吗？"), User("晚上睡不着应该怎么办")]));
        Assert.Equal([151329, 151336, 151338], template.StopIds);
        Assert.Equal("你好", Assert.Single(template.Parse([198, 109377, 151336])).Content);
        Assert.Equal("# A\nb", Assert.Single(template.Parse(template.Tokenizer.Encode("# A\nb"))).Content);
        var call = Assert.Single(template.Parse([.. template.Tokenizer.Encode("get_weather\n{\"city\": \"北京\"}"), 151338]));
        Assert.Equal(("get_weather", "{\"city\": \"北京\"}"), (call.Metadata, call.Content));

        var tools = JsonNode.Parse("""[{"type": "function", "function": {"name": "f", "description": "天气 😀 <&'\"", "parameters": {}}}]""");
        int[] ids = template.Encode([new(ChatRole.System, "S") { Tools = tools }, Hello]);
        string text = template.Tokenizer.Decode(ids);
        Assert.EndsWith("# 可用工具\n\n## f\n\n{\n    \"name\": \"f\",\n    \"description\": \"天气 😀 <&'\\\"\",\n    \"parameters\": {}\n}\n在调用上述函数时，请使用 Json 格式表示调用的参数。\nS\n你好", text);
        Assert.Equal(2, ids.Count(id => id == 151335));
        Assert.Throws<GlmException>(() => template.Encode([new(ChatRole.System, "S") { Tools = JsonNode.Parse("{}") }]));
        Assert.Throws<GlmException>(() => template.Encode([new(ChatRole.System, "S") { Tools = JsonNode.Parse("[1]") }]));
    }

    [TokenizersFact]
    public void TextCannotPretendToBeARole()
    {
        foreach (string folder in new[] { "chatglm-6b", "chatglm2-6b", "chatglm3-6b", "glm-4-9b" })
        {
            var template = Template(folder);
            string names = string.Concat(template.Tokenizer.Special.Names.Keys);
            int[] plain = template.Encode([User("x")]), hostile = template.Encode([User(names)]);
            var special = template.Tokenizer.Special.Names.Values.ToHashSet();
            Assert.Equal(plain.Count(special.Contains), hostile.Count(special.Contains));
            Assert.Equal(template.Tokenizer.Special.Names.Count, template.Tokenizer.EncodeWithSpecial(names).Count(special.Contains));
        }
    }

    [TokenizersFact]
    public void StreamedTextIsTheCleanOne()
    {
        foreach (string folder in new[] { "chatglm-6b", "chatglm2-6b", "chatglm3-6b", "glm-4-9b" })
        {
            var template = Template(folder);
            var texts = Gen.Elements("你", "好", ",", "!", " ", "\n", "a", "[[训练时间]]", "[[训练", "[", "]", "😀", "é", "?").ListOf().Select(string.Concat);
            Prop.ForAll(texts.ToArbitrary(), text =>
            {
                int[] ids = [.. template.Tokenizer.Encode(text), template.StopIds[0]];
                var answer = new ChatAnswerText(template);
                return string.Concat(ids.Select(answer.Append)) + answer.Finish() == template.Clean(template.Tokenizer.Decode(ids));
            }).QuickCheckThrowOnFailure();
        }
    }

    [Theory]
    [InlineData("seed=42, range=(0, 100)", """{"seed":42,"range":[0,100]}""")]
    [InlineData("", "{}")]
    [InlineData(" a = -1.5e3 ,b='\\'s \\u4f60\\n',", """{"a":-1500,"b":"\u0027s \u4F60\n"}""")]
    [InlineData("a=None, b=[True, {'x': False}], c=(), d={}", """{"a":null,"b":[true,{"x":false}],"c":[],"d":{}}""")]
    [InlineData("a", null)]
    [InlineData("a=1 b=2", null)]
    [InlineData("a=1, a=2", null)]
    [InlineData("a=f(1)", null)]
    [InlineData("a=__import__('os')", null)]
    [InlineData("a='x", null)]
    [InlineData("a='x\\", null)]
    [InlineData("a='\\u12'", null)]
    [InlineData("a=[1", null)]
    [InlineData("a={1: 2}", null)]
    [InlineData("a=1e999", null)]
    public void CallsAreReadAsData(string arguments, string? expected)
    {
        var call = ToolCall.Of(new ChatMessage(ChatRole.Assistant, $"```python\ntool_call({arguments})\n```") { Metadata = "f" });
        Assert.Equal(expected, call?.Parameters.ToJsonString());
        Assert.Null(ToolCall.Of(Assistant($"```python\ntool_call({arguments})\n```")));
    }

    [Fact]
    public void CallsInJson()
    {
        ChatMessage Call(string content) => new(ChatRole.Assistant, content) { Metadata = "f" };
        Assert.Equal("f", ToolCall.Of(Call("\n{\"a\": 1}"))?.Name);
        Assert.Null(ToolCall.Of(Call("{\"a\"")));
        Assert.Null(ToolCall.Of(Call("print(1)")));
        Assert.Null(ToolCall.Of(Call("```python\nprint(1)\n```")));
        Assert.Null(ToolCall.Of(Call($"```python\ntool_call(a={new string('[', 100000)})\n```")));
    }

    [Fact]
    public void OnlyChatModelsHaveTemplates() => Assert.Contains("chat", Assert.Throws<GlmException>(() => ChatTemplate.Of(TinyVocabulary.Tokenizer)).Message);

    private static ChatTemplate Template(string folder) => ChatTemplate.Of(Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, folder)));

    private static ChatMessage User(string text) => new(ChatRole.User, text);

    private static ChatMessage Assistant(string text) => new(ChatRole.Assistant, text);
}
