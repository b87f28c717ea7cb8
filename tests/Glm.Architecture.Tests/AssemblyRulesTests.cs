using System.Reflection;
using System.Runtime.CompilerServices;
using System.Security;
using Glm.Tests;

namespace Glm.Architecture.Tests;

/// <summary>The rules of the house, over the assemblies as they were built: who may know whom, and that memory of tensors stays in Glm.Tensors.</summary>
public sealed class AssemblyRulesTests
{
    private const string Tensors = "Glm.Tensors";

    /// <summary>What each room may reference, directly.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Glm.Common"] = [],
        ["Glm.Hub"] = ["Glm.Common"],
        ["Glm.Plots"] = [],
        ["Glm.Tensors"] = ["Glm.Common"],
        ["Glm.Distributed"] = ["Glm.Common", "Glm.Tensors"],
        ["Glm.Tokenizers"] = ["Glm.Common"],
        ["Glm.Formats"] = ["Glm.Common", "Glm.Tensors"],
        ["Glm.Models"] = ["Glm.Common", "Glm.Tensors", "Glm.Distributed", "Glm.Formats"],
        ["Glm.Inference"] = ["Glm.Common", "Glm.Tensors", "Glm.Distributed", "Glm.Models", "Glm.Tokenizers"],
        ["Glm.Training"] = ["Glm.Common", "Glm.Plots", "Glm.Tensors", "Glm.Distributed", "Glm.Formats", "Glm.Models", "Glm.Tokenizers"],
        ["Glm"] = ["Glm.Common", "Glm.Tensors", "Glm.Distributed", "Glm.Formats", "Glm.Models", "Glm.Tokenizers", "Glm.Inference"],
        ["Glm.Server"] = ["Glm.Common", "Glm.Tensors", "Glm.Models", "Glm.Tokenizers", "Glm.Inference", "Glm"],
        ["Glm.Evaluation"] = ["Glm.Common", "Glm.Plots", "Glm.Tensors", "Glm.Models", "Glm.Tokenizers", "Glm.Inference", "Glm.Training"],
        ["Glm.Cli"] = ["Glm.Common", "Glm.Hub", "Glm.Plots", "Glm.Tensors", "Glm.Distributed", "Glm.Formats", "Glm.Models", "Glm.Tokenizers", "Glm.Inference", "Glm.Training", "Glm.Evaluation", "Glm", "Glm.Server"],
    };

    public static TheoryData<string> Rooms =>
        [.. Directory.GetFiles(Path.Combine(TestFiles.Repository, "src"), "*.csproj", SearchOption.AllDirectories).Select(file => Path.GetFileNameWithoutExtension(file)).Order()];

    [Theory]
    [MemberData(nameof(Rooms))]
    public void References_point_down(string room)
    {
        Assert.True(Allowed.ContainsKey(room), $"{room} is new: say here what it may reference");
        var references = Load(room).GetReferencedAssemblies().Select(name => name.Name!).Where(name => name.StartsWith("Glm.", StringComparison.Ordinal));
        Assert.Empty(references.Except(Allowed[room]));
    }

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Only_tensors_are_unsafe(string room)
    {
        bool isUnsafe = Load(room).ManifestModule.GetCustomAttribute<UnverifiableCodeAttribute>() is not null;
        Assert.Equal(room == Tensors, isUnsafe);
    }

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Internals_are_visible_to_tests_and_benchmarks_alone(string room)
    {
        var friends = Load(room).GetCustomAttributes<InternalsVisibleToAttribute>().Select(friend => friend.AssemblyName);
        Assert.Empty(friends.Except([$"{room}.Tests", $"{room}.Bench"]));
    }

    /// <summary>No pointer in any public signature; and what Glm.Tensors gives out as a span is a shape, never data.</summary>
    [Theory]
    [MemberData(nameof(Rooms))]
    public void No_public_member_gives_out_the_memory_of_tensors(string room)
    {
        string[] offenders = [.. PublicMembers(Load(room)).Where(member =>
            member.Types.Any(IsPointer) || (room == Tensors && IsView(member.Result) && member.Result != typeof(ReadOnlySpan<int>))).Select(member => member.Name)];
        Assert.Empty(offenders);
    }

    [Fact]
    public void Only_shapes_are_read_only_spans_of_integers()
    {
        Assert.Equal(["Tensor.get_Shape"], PublicMembers(Load(Tensors)).Where(member => member.Result == typeof(ReadOnlySpan<int>)).Select(member => member.Name));
    }

    private static Assembly Load(string room) => Assembly.Load(room);

    private static IEnumerable<(string Name, Type Result, Type[] Types)> PublicMembers(Assembly assembly)
    {
        const BindingFlags all = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        foreach (var type in assembly.GetExportedTypes())
        {
            foreach (var method in type.GetMethods(all))
                if (method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly)
                    yield return ($"{type.Name}.{method.Name}", method.ReturnType, [method.ReturnType, .. method.GetParameters().Select(p => p.ParameterType)]);
            foreach (var constructor in type.GetConstructors(all))
                if (!type.IsSubclassOf(typeof(Delegate)) && (constructor.IsPublic || constructor.IsFamily || constructor.IsFamilyOrAssembly))
                    yield return ($"{type.Name}.new", type, [.. constructor.GetParameters().Select(p => p.ParameterType)]);
            foreach (var field in type.GetFields(all))
                if (field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly)
                    yield return ($"{type.Name}.{field.Name}", field.FieldType, [field.FieldType]);
        }
    }

    private static bool IsPointer(Type type) =>
        type.IsPointer || type.IsFunctionPointer || type == typeof(IntPtr) || type == typeof(UIntPtr)
        || (type.HasElementType && IsPointer(type.GetElementType()!)) || (type.IsGenericType && type.GetGenericArguments().Any(IsPointer));

    private static bool IsView(Type type) =>
        type.IsByRef || (type.IsGenericType && type.GetGenericTypeDefinition() is var definition
            && (definition == typeof(Span<>) || definition == typeof(ReadOnlySpan<>) || definition == typeof(Memory<>) || definition == typeof(ReadOnlyMemory<>)));
}
